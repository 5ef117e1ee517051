"""What a reader must know before trusting a regression: a dose, chance, and errors that do not carry over."""

from collections.abc import Iterator, Sequence

from conescope.results.prediction import Association, Dose, Regression


def dose_of(control: str, alone: float, together: float, found: Sequence[Association]) -> Dose:
    """Return whether a control explains it all.

    It does if it predicts rows left out with no more error `alone` than the features `together`, or if each
    feature has a correlation, given the control, that is within noise.
    """
    held = [one for one in found if control in one.given or f"rank of {control}" in one.given]
    noise = dict.fromkeys(one.feature for one in held if one.within_noise)
    return Dose(
        control=control,
        control_rmse=alone,
        features_rmse=together,
        within_noise=tuple(noise),
        turned=tuple(_turned(found, held)),
        explains_all=alone <= together or len(noise) == len({one.feature for one in held}),
    )


def _turned(found: Sequence[Association], held: Sequence[Association]) -> Iterator[str]:
    """Yield features whose rank correlation has one sign, and the other one with the control held."""
    plain = {one.feature: one for one in found if one.kind == "rank" and not one.given}
    for one in (one for one in held if one.kind == "rank"):
        before = plain[one.feature]
        if not (before.within_noise or one.within_noise) and (before.value or 0) * (one.value or 0) < 0:
            yield one.feature


def notes(linear: Regression, rank: Regression, dose: Dose | None, hold_out: str | None) -> tuple[str, ...]:
    """Return what a reader must know before trusting the model, gravest first."""
    told = []
    if dose is not None and dose.explains_all:
        why = []
        if dose.control_rmse <= dose.features_rmse:
            why.append(
                f"alone it predicts rows left out with error {dose.control_rmse:.3g}, the features with "
                f"{dose.features_rmse:.3g}"
            )
        if dose.within_noise:
            why.append(f"given it, what is left of {', '.join(dose.within_noise)} is within noise")
        told.append(f"{dose.control} may explain it all: {'; '.join(why)}")
    if dose is not None and dose.turned:
        told.append(
            f"given {dose.control}, the rank correlation of {', '.join(dose.turned)} with the target turns "
            "around: among equal doses it goes the other way"
        )
    for fit in (linear, rank):
        if fit.chance.p > max(0.05, 1 / (1 + fit.chance.draws)):  # the least p that few draws allow
            told.append(
                f"the {fit.kind} fit is within chance: shuffled targets reach its R^2 of {fit.r2:.3f} with "
                f"p = {fit.chance.p:.2g}"
            )
        told += _of_groups(fit, hold_out)
        if fit.leave_one_out.undetermined:
            told.append(
                f"{fit.leave_one_out.undetermined} rows can not be predicted from the others by the "
                f"{fit.kind} fit, such as the only one of a group; its leave-one-out error is without them"
            )
    return tuple(told)


def _of_groups(fit: Regression, hold_out: str | None) -> Iterator[str]:
    """Yield what errors on groups that were held out tell."""
    out = fit.leave_group_out
    if out is None:
        return
    if out.rmse is not None and out.baseline_rmse is not None and out.rmse >= out.baseline_rmse:
        yield (
            f"the {fit.kind} fit does not carry over: held out by {hold_out}, its error is {out.rmse:.3g}, "
            f"that of the mean {out.baseline_rmse:.3g}"
        )
    if out.undetermined:
        yield (
            f"{out.undetermined} rows can not be predicted by the {fit.kind} fit when all of their "
            f"{hold_out} are held out, as where a feature is constant in the others; its error is without "
            "them"
        )

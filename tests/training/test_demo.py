from conescope.training.demo import demo_experiment


def test_the_quick_demo_is_what_it_says():
    found = demo_experiment(quick=True)
    assert found.classes == ("business", "entertainment", "politics", "sports", "tech")
    assert (len(found.train), len(found.dev)) == (384, 200)
    assert set(found.train.labels) == set(found.dev.labels) == set(range(5))
    assert not set(found.train.texts) & set(found.dev.texts)
    assert all(40 <= len(text) <= 300 for text in found.train.texts + found.dev.texts)
    assert found == demo_experiment(quick=True)

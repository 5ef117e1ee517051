"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const system = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = {
    responsive: true,
    displaylogo: false,
    doubleClickDelay: 400,
    modeBarButtons: [["toImage"]],
    displayModeBar: touch ? false : "hover",
    toImageButtonOptions: { format: "svg", filename: "conescope" },
  };

  // A CSS variable, light-dark() and all, becomes a color that plotly understands.
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  const color = (value) => {
    probe.style.color = value;
    return getComputedStyle(probe).color;
  };
  const resolve = (value, key = "") => {
    if (Array.isArray(value)) return value.map((inner) => (inner && typeof inner === "object" ? resolve(inner) : inner));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, resolve(inner, name)]));
    }
    return /color$/.test(key) && /^var\(--[a-z0-9-]+\)$/.test(value) ? color(value) : value;
  };
  const merge = (base, extra) => {
    const merged = { ...base };
    for (const [key, value] of Object.entries(extra)) {
      const both = value && base[key] && value.constructor === Object && base[key].constructor === Object;
      merged[key] = both ? merge(base[key], value) : value;
    }
    return merged;
  };

  const hiddenGroups = (plot) =>
    [...plot.closest("section").querySelectorAll("[data-group][aria-pressed=false]")].map((b) => b.dataset.group);

  // The longest `kept` bars take the color of those that count. Traces go longest bar first and hold
  // `meta` entries a bar.
  const counted = (traces, kept) =>
    traces.flatMap((trace) =>
      [["var(--unselected)", kept, undefined], ["var(--selected)", 0, kept]].map(([paint, first, end]) => {
        const part = { ...trace };
        for (const key of ["x", "y", "customdata"]) {
          if (trace[key]) part[key] = trace[key].slice(first * trace.meta, end && end * trace.meta);
        }
        for (const key of ["line", "marker"]) if (trace[key]) part[key] = { ...trace[key], color: paint };
        return part;
      }),
    );

  const draw = (plot) => {
    const figure = figures[plot.dataset.figure];
    const view = figure.views[Number(plot.dataset.view)];
    const hidden = hiddenGroups(plot);
    const data = resolve(plot.dataset.kept ? counted(view.data, Number(plot.dataset.kept)) : view.data);
    for (const trace of data) trace.visible = !hidden.includes(trace.legendgroup);
    const layout = resolve(merge(figure.layout, view.layout));
    layout.font = { family: getComputedStyle(document.body).fontFamily, color: color("var(--ink)") };
    if (layout.height) {
      plot.style.height = `${layout.height}px`; // a resize makes plotly forget the height in the layout
      delete layout.height;
    }
    layout.dragmode = touch ? false : "zoom";
    plot.setAttribute("aria-label", view.alt);
    for (const text of document.querySelectorAll(`[data-says="${plot.id}"]`)) text.textContent = view.alt;
    Plotly.react(plot, data, layout, config);
  };
  const drawAll = () => plots.forEach(draw);

  // Theme: the system's, until the reader chooses.
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const retheme = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Switch to light colors" : "Switch to dark colors");
    drawAll();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    retheme();
  });
  system.addEventListener("change", retheme);

  for (const select of document.querySelectorAll("select[data-plots]")) {
    const show = () => {
      for (const id of select.dataset.plots.split(" ")) {
        const plot = document.getElementById(id);
        plot.dataset.view = select.value;
        if (plot.data) draw(plot);
      }
    };
    select.addEventListener("change", show);
    show(); // a reloaded page may come back with the choices it was left with
  }
  // How many bars count: a rule says it, or the reader, with a slider.
  const rule = document.getElementById("rule");
  if (rule) {
    const slider = document.getElementById("kept");
    const said = document.getElementById("counted");
    const rules = JSON.parse(rule.dataset.rules);
    const entropies = JSON.parse(slider.dataset.entropies); // of the longest 0, 1, 2, ... bars
    let next = 0;
    const count = ({ kept, entropy, relative_entropy: relative }) => {
      said.querySelector("[data-kept]").textContent = kept;
      said.querySelector("[data-entropy]").textContent = entropy.toFixed(4);
      said.querySelector("[data-relative]").textContent = relative.toFixed(4);
      for (const plot of plots) plot.dataset.kept = kept;
      cancelAnimationFrame(next); // a slider moves faster than thousands of bars are drawn
      next = requestAnimationFrame(() => plots.filter((plot) => plot.data).forEach(draw));
    };
    const byRule = () => {
      if (!rules[rule.value]) return byHand();
      slider.value = rules[rule.value].kept; // the slider ends where the drawing does
      count(rules[rule.value]);
    };
    const byHand = () => {
      const kept = Number(slider.value);
      rule.value = "by hand";
      count({ kept, entropy: entropies[kept], relative_entropy: kept > 1 ? entropies[kept] / Math.log(kept) : 0 });
    };
    rule.addEventListener("change", byRule);
    slider.addEventListener("input", byHand);
    byRule();
  }
  for (const entry of document.querySelectorAll("[data-group]")) {
    entry.addEventListener("click", () => {
      entry.setAttribute("aria-pressed", String(entry.getAttribute("aria-pressed") === "false"));
      entry.closest("section").querySelectorAll(".plot").forEach(draw);
    });
  }
  for (const copy of document.querySelectorAll("[data-copy]")) {
    copy.addEventListener("click", async () => {
      const source = document.getElementById(copy.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source); // no clipboard here: the text is marked, ready to copy
        copy.textContent = "Selected";
      }
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
  }

  // Paper is light and narrow: figures are drawn anew for it, and again for the screen.
  let chosen;
  addEventListener("beforeprint", () => {
    chosen = root.dataset.theme;
    root.dataset.theme = "light";
    root.classList.add("printing");
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    drawAll();
    plots.forEach((plot) => Plotly.Plots.resize(plot));
  });
  addEventListener("afterprint", () => {
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    root.classList.remove("printing");
    drawAll();
    plots.forEach((plot) => Plotly.Plots.resize(plot));
  });

  retheme();
})();

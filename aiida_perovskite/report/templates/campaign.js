"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);

  // ---- figures: drawn when they come into view, in the colours of the page
  const places = all(".plot");
  const sources = new Map(all(".figure-data").map((script) => [script.dataset.figure, script]));
  const drawn = new Set();
  const spatial = (place) => place.classList.contains("three-d");
  const config = { displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"] };

  function theme(layout, place) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const themed = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      margin: spatial(place) ? { l: 0, r: 0, t: 0, b: 0 } : { l: 56, r: 14, t: 44, b: 48 },
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent") },
    };
    // Names of many points have no room on a telephone either; there a touch shows them.
    const crowded = place.clientWidth < 480 && (layout.annotations || []).filter(({ name }) => name === "point").length > 8;
    themed.annotations = (layout.annotations || []).filter(({ name }) => !crowded || name !== "point").map((note) => ({ bgcolor: colour("--ground"), borderpad: 1, ...note }));
    for (const key of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
      themed[key] = { gridcolor: colour("--line"), linecolor: colour("--soft"), tickcolor: colour("--soft"), showline: true, ticks: "outside", automargin: true, ...layout[key] };
      // Names of all elements have no room on a telephone: let plotly thin them out.
      if (layout[key].type === "category" && place.clientWidth < 480) delete themed[key].dtick;
    }
    return themed;
  }

  function draw(place) {
    if (drawn.has(place)) return undefined;
    drawn.add(place);
    const figure = JSON.parse(sources.get(place.dataset.plot).textContent);
    return Plotly.newPlot(place, figure.data, theme(figure.layout, place), { ...config, displayModeBar: spatial(place) ? false : "hover" });
  }

  // A browser keeps only some 16 scenes alive, so those out of sight are given back.
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) draw(target);
      else if (spatial(target) && drawn.delete(target)) Plotly.purge(target);
    }
  }, { rootMargin: "300px" });
  places.forEach((place) => watcher.observe(place));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const place of drawn) Plotly.relayout(place, theme(JSON.parse(sources.get(place.dataset.plot).textContent).layout, place));
  });
  addEventListener("beforeprint", () => {
    places.filter((place) => !spatial(place)).forEach(draw);
    all("details").forEach((part) => { part.open = true; });
  });

  const layer = one("#layer");
  if (layer) layer.addEventListener("change", () => {
    const place = one('[data-plot="pairs"]');
    draw(place);
    Plotly.restyle(place, { visible: place.data.map((_, index) => index === Number(layer.value)) });
  });

  // ---- tables: sort by the headings
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();

  function sortBy(table, heading) {
    const column = heading.cellIndex;
    const numeric = heading.classList.contains("num");
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    const sign = direction === "ascending" ? 1 : -1;
    const key = (row) => (numeric ? Number.parseFloat(value(row, column)) : value(row, column));
    const compare = (left, right) => {
      // What has no number stays at the end, whichever way the others run.
      if (numeric && (Number.isNaN(left.key) || Number.isNaN(right.key))) return Number.isNaN(left.key) - Number.isNaN(right.key);
      return sign * (numeric ? left.key - right.key : left.key.localeCompare(right.key));
    };
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: key(row) })).sort(compare);
    all("th[aria-sort]", table.tHead).forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", direction);
    table.tBodies[0].append(...rows.map(({ row }) => row));
  }
  for (const button of all("button.sort")) button.addEventListener("click", () => sortBy(button.closest("table"), button.closest("th")));

  // ---- tables: filter by elements or by the beginning of a formula
  const survivors = one("#survivors");
  if (survivors) {
    const words = one("#filter"), only = one("#only-computed"), shown = one("#shown");
    const rows = [...survivors.tBodies[0].rows];
    const holds = (row, word) => {
      const spelt = row.dataset.formula;
      return /^[A-Z][a-z]?$/.test(word) ? (spelt.match(/[A-Z][a-z]?/g) || []).includes(word) : spelt.toLowerCase().includes(word.toLowerCase());
    };
    const filter = () => {
      const wanted = words.value.trim().split(/[\s,]+/).filter(Boolean);
      for (const row of rows) row.hidden = (only.checked && !("computed" in row.dataset)) || !wanted.every((word) => holds(row, word));
      shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
    };
    words.addEventListener("input", filter);
    only.addEventListener("change", filter);
    filter();
  }

  // ---- look up one compound of the whole space
  const lookup = one("#lookup");
  if (lookup) {
    let table;
    const canonical = (text) => {
      const counts = { 1: [], 2: [], 6: [] };
      for (const [, symbol, count] of text.replace(/\s/g, "").matchAll(/([A-Z][a-z]?)(\d*)/g)) (counts[count || 1] || []).push(symbol);
      const [ab, c, d] = [counts[1].sort(), counts[2], counts[6]];
      return ab.length === 2 && c.length === 1 && d.length === 1 ? `${ab[0]}${ab[1]}${c[0]}2${d[0]}6` : null;
    };
    lookup.addEventListener("input", () => {
      table ??= JSON.parse(one("#report-data").textContent).tables.predictions.columns;
      const answer = one("#answer");
      const formula = canonical(lookup.value);
      if (!formula) { answer.textContent = lookup.value ? "type a formula such as Cs2AgBiBr6" : ""; return; }
      const row = table.formula.indexOf(formula);
      const number = (name) => table[name][row].toFixed(2);
      const domain = table.in_domain && !table.in_domain[row] ? "; outside the model's domain" : "";
      answer.textContent = row < 0 ? `${formula} is not in this space` : `${formula}: ${number("gap_ev")} eV, ${number("lower_ev")} to ${number("upper_ev")} eV${domain}`;
    });
  }

  // ---- identifiers: copied by a click
  const toast = one("#toast");
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      toast.textContent = `copied ${text}`;
    } catch {
      toast.textContent = text; // no clipboard: at least it can be read and marked
    }
    setTimeout(() => { toast.textContent = ""; }, 4000);
  }
  for (const button of all("button.uuid")) button.addEventListener("click", (event) => { event.preventDefault(); copy(button.dataset.uuid); });

  const save = one("#save-data");
  if (save) save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([one("#report-data").textContent], { type: "application/json" }));
    link.download = "report-data.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();

"use strict";
// What every page of the reports does; a page's own script follows and uses what this returns.
const page = (() => {
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
    if (layout.scene) {
      const axis = { color: colour("--soft"), gridcolor: colour("--line"), zerolinecolor: colour("--line"), showbackground: false };
      themed.scene = { ...layout.scene };
      for (const key of ["xaxis", "yaxis", "zaxis"]) themed.scene[key] = { ...axis, ...layout.scene[key] };
    }
    return themed;
  }

  function draw(place) {
    if (drawn.has(place)) return undefined;
    drawn.add(place);
    const figure = JSON.parse(sources.get(place.dataset.plot).textContent);
    const ready = Plotly.newPlot(place, figure.data, theme(figure.layout, place), { ...config, displayModeBar: spatial(place) ? false : "hover" });
    layered(place);
    return ready;
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
    places.filter((place) => !spatial(place) && place.offsetParent).forEach(draw);
    all("details").forEach((part) => { part.open = true; });
  });

  // Some figures hold several layers, of which a menu shows one: those whose `meta` is its value.
  function layered(place) {
    const menu = all("select[data-layers]").find(({ dataset }) => place.dataset.plot.startsWith(dataset.layers));
    if (menu && drawn.has(place)) Plotly.restyle(place, { visible: place.data.map(({ meta }) => meta === undefined || meta === Number(menu.value)) });
  }
  for (const menu of all("select[data-layers]")) menu.addEventListener("change", () => {
    places.filter(({ dataset }) => dataset.plot.startsWith(menu.dataset.layers)).forEach(layered);
  });

  // ---- tabs: one panel at a time; without this script all are open
  for (const list of all("[role=tablist]")) {
    const tabs = all("[role=tab]", list);
    const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
    const open = (chosen) => {
      for (const tab of tabs) {
        tab.setAttribute("aria-selected", tab === chosen);
        tab.tabIndex = tab === chosen ? 0 : -1;
        panel(tab).hidden = tab !== chosen;
      }
    };
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => open(tab));
      tab.addEventListener("keydown", ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (!step) return;
        const next = tabs[(index + step + tabs.length) % tabs.length];
        open(next);
        next.focus();
      });
    });
    if (tabs.length) open(tabs.find((tab) => tab.getAttribute("aria-selected") === "true") || tabs[0]);
  }

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

  // ---- downloads that are made from the data of the page
  function offer(name, type, content) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  let parsed;
  const data = () => (parsed ??= JSON.parse(one("#report-data").textContent));
  function asCsv(columns) {
    const cell = (content) => (content === null ? "" : /[",\n]/.test(content) ? `"${String(content).replaceAll('"', '""')}"` : String(content));
    const names = Object.keys(columns);
    const rows = columns[names[0]].map((_, row) => names.map((name) => cell(columns[name][row])).join(","));
    return [names.map(cell).join(","), ...rows, ""].join("\n");
  }
  for (const button of all("button[data-table]")) button.addEventListener("click", () => {
    offer(button.textContent, "text/csv", asCsv(data().tables[button.dataset.table].columns));
  });
  const save = one("#save-data");
  if (save) save.addEventListener("click", () => offer("report-data.json", "application/json", one("#report-data").textContent));

  // The formula with A before B in which tables name a compound; null for what is no such formula.
  function canonical(text) {
    const counts = { 1: [], 2: [], 6: [] };
    for (const [, symbol, count] of text.replace(/\s/g, "").matchAll(/([A-Z][a-z]?)(\d*)/g)) (counts[count || 1] || []).push(symbol);
    const [ab, c, d] = [counts[1].sort(), counts[2], counts[6]];
    return ab.length === 2 && c.length === 1 && d.length === 1 ? `${ab[0]}${ab[1]}${c[0]}2${d[0]}6` : null;
  }

  return { all, one, data, canonical, theme, config };
})();

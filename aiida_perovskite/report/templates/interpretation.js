"use strict";
// Look up one compound: what each network says of its sites.
(() => {
  const { all, one } = page;
  const lookup = one("#compound-name");
  if (!lookup) return;
  const answer = one("#compound-answer"), matches = one("#matches");
  const branches = all(".compound");
  const SITES = ["a", "b", "c", "d"], SHOWN = 24;
  const tables = (name) => ({ compounds: page.data().tables[`branches.${name}.compounds`]?.columns, members: page.data().tables[`branches.${name}.members`]?.columns });
  const spelt = (formula) => { const [a, b, c, d] = formula.match(/[A-Z][a-z]?/g); return `${c}2${a}${b}${d}6`; };

  let names;
  const known = () => (names ??= [...new Set(branches.flatMap(({ dataset }) => tables(dataset.branch).compounds?.formula || []))].sort());

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [name, content] of Object.entries(attributes)) made.setAttribute(name, content);
    return made;
  }
  const fixed = (number, digits = 2) => (number === null || number === undefined ? "–" : number.toFixed(digits).replace("-", "−"));
  function meter(weight) {
    const cell = element("td", "", { class: "num" });
    cell.append(element("span", fixed(weight), { class: "meter", style: `--share: ${(100 * (weight || 0)).toFixed(1)}%` }));
    return cell;
  }

  // Levels of the four sites as lines, as thick as their weight in the band edge that they make.
  function diagram(place, columns, row) {
    const value = (name) => columns[name][row];
    const style = getComputedStyle(document.documentElement);
    const data = [["homo", "vbm", "HOMO", "--bar"], ["lumo", "cbm", "LUMO", "--hit"]].flatMap(([level, edge, name, colour]) => SITES.map((site, index) => {
      const weight = value(`${edge}_weight_${site}`);
      return {
        type: "scatter", mode: "lines", x: [index - 0.36, index + 0.36], y: Array(2).fill(value(`${level}_${site}_ev`)), name,
        showlegend: index === 0, line: { color: style.getPropertyValue(colour).trim(), width: 1.5 + 7 * weight },
        hovertemplate: `${value(site)} on ${site.toUpperCase()}: ${name} %{y:.2f} eV, weight ${weight.toFixed(2)}<extra></extra>`,
      };
    }));
    const edges = ["vbm", "cbm"].map((edge) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: value(`${edge}_ev`), y1: value(`${edge}_ev`), line: { dash: "dash", width: 1, color: style.getPropertyValue("--soft").trim() } }));
    const notes = [["vbm", "top"], ["cbm", "bottom"]].map(([edge, anchor]) => ({ xref: "paper", x: 1, xanchor: "right", y: value(`${edge}_ev`), yanchor: anchor, text: edge.toUpperCase(), showarrow: false, bgcolor: "rgba(0,0,0,0)" }));
    const layout = {
      shapes: edges, annotations: notes, hovermode: "closest", legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
      xaxis: { tickvals: [0, 1, 2, 3], ticktext: SITES.map((site) => `${site.toUpperCase()}: ${value(site)}`), range: [-0.5, 3.5], showgrid: false, zeroline: false },
      yaxis: { title: { text: "level (eV)" }, zeroline: false },
    };
    Plotly.react(place, data, page.theme(layout, place), { ...page.config, displayModeBar: false });
  }

  function show(formula) {
    for (const card of branches) {
      const { compounds, members } = tables(card.dataset.branch);
      const row = compounds ? compounds.formula.indexOf(formula) : -1;
      card.hidden = row < 0;
      if (row < 0) continue;
      const value = (name) => compounds[name]?.[row];
      const family = members ? members.family[members.formula.indexOf(formula)] : null;
      const words = one(`[data-sentence="${card.dataset.branch}/${family}"]`);
      card.querySelector(".facts").textContent = `Gap ${fixed(Math.max(value("gap_ev"), 0))} eV by the first network` +
        (value("target_ev") === undefined || value("target_ev") === null ? "" : `, ${fixed(value("target_ev"))} eV computed`) +
        (family ? `. Family ${family}: ${words ? words.textContent.trim() : ""}` : ".");
      card.querySelector("tbody").replaceChildren(...SITES.map((site) => {
        const line = document.createElement("tr");
        line.append(element("th", site.toUpperCase(), { scope: "row" }), element("td", value(site)), element("td", fixed(value(`homo_${site}_ev`)), { class: "num" }), meter(value(`vbm_weight_${site}`)), element("td", fixed(value(`lumo_${site}_ev`)), { class: "num" }), meter(value(`cbm_weight_${site}`)));
        for (const other of SITES) line.append(meter(value(`attention_${site}${other}`)));
        return line;
      }));
      diagram(card.querySelector(".levels-diagram"), compounds, row);
    }
  }

  // A formula in any order of its elements, or elements and beginnings of names, as in the ranking of a campaign.
  function search() {
    const text = lookup.value.trim();
    const formula = page.canonical(text);
    matches.replaceChildren();
    branches.forEach((card) => { card.hidden = true; });
    answer.textContent = "";
    if (!text) return;
    if (formula && known().includes(formula)) { answer.textContent = spelt(formula); show(formula); return; }
    const words = text.split(/[\s,]+/).filter(Boolean);
    const holds = (name, word) => (/^[A-Z][a-z]?$/.test(word) ? name.match(/[A-Z][a-z]?/g).includes(word) : `${name} ${spelt(name)}`.toLowerCase().includes(word.toLowerCase()));
    const found = known().filter((name) => words.every((word) => holds(name, word)));
    answer.textContent = formula && !found.length ? `${spelt(formula)} is not in the table` : `${found.length} compounds${found.length > SHOWN ? `, the first ${SHOWN} are shown` : ""}`;
    matches.append(...found.slice(0, SHOWN).map((name) => {
      const button = element("button", spelt(name), { type: "button", class: "download" });
      button.addEventListener("click", () => { lookup.value = spelt(name); search(); });
      return button;
    }));
  }
  lookup.addEventListener("input", search);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", search);
})();

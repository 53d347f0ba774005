"use strict";
(() => {
  const { one } = page;

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
    lookup.addEventListener("input", () => {
      const table = page.data().tables.predictions.columns;
      const answer = one("#answer");
      const formula = page.canonical(lookup.value);
      if (!formula) { answer.textContent = lookup.value ? "type a formula such as Cs2AgBiBr6" : ""; return; }
      const row = table.formula.indexOf(formula);
      const number = (name) => table[name][row].toFixed(2);
      const domain = table.in_domain && !table.in_domain[row] ? "; outside the model's domain" : "";
      answer.textContent = row < 0 ? `${formula} is not in this space` : `${formula}: ${number("gap_ev")} eV, ${number("lower_ev")} to ${number("upper_ev")} eV${domain}`;
    });
  }
})();

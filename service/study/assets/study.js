"use strict";
// Rows of all tables by words of their text: a label, a step's state, or the code of a warning.
(() => {
  const field = document.getElementById("filter");
  const told = document.getElementById("filter-count");
  const groups = [...document.querySelectorAll("details.group")].map((group) => ({
    group,
    open: group.open,
    rows: [...group.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
  }));
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { group, open, rows } of groups) {
      let here = 0;
      for (const { row, text } of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        here += row.hidden ? 0 : 1;
      }
      group.hidden = here === 0;
      group.open = words.length ? here > 0 && here <= 500 : open;
      shown += here;
    }
    told.textContent = words.length ? `${shown} shown` : "";
  };
  field.closest("p").hidden = false;
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 150);
  });
})();

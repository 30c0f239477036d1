"use strict";
// Tables sort by a click on a column's head, or by Enter or Space on it.
(function () {
  // Numbers are in data-sort; cells without a value stay last, whichever way.
  function keyOf(row, column) {
    const cell = row.cells[column];
    const key = cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
    if (key === "") return null;
    const number = Number(key);
    return Number.isNaN(number) ? key : number;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(head, column) {
    const table = head.closest("table");
    const isNumber = head.classList.contains("num");
    const old = head.getAttribute("aria-sort");
    // The highest number is asked for first, and the first name.
    const first = isNumber ? "descending" : "ascending";
    const second = isNumber ? "ascending" : "descending";
    const order = old === first ? second : first;
    for (const other of head.parentElement.cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row, column) }));
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return sign * compare(a.key, b.key);
    });
    for (const { row } of rows) body.append(row);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = head.querySelector("button");
      if (button) button.addEventListener("click", () => sort(head, column));
    });
  }

  // On paper nothing can be unfolded.
  const unfolded = new Set();
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) {
      if (part.classList.contains("screen-only")) continue;
      part.open = true;
      unfolded.add(part);
    }
  });
  addEventListener("afterprint", () => {
    for (const part of unfolded) part.open = false;
    unfolded.clear();
  });
})();

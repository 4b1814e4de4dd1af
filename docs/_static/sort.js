// Tables of the class `sortable`: a column's button sorts the rows by it, and again the other way.
// The first click puts the smallest first, or the largest where the head's `data-first` says so.
document.addEventListener("click", (event) => {
  const head = event.target.closest("table.sortable th");
  if (!head) return;
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const now = head.getAttribute("aria-sort");
  const ascending = now ? now !== "ascending" : head.dataset.first !== "largest";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const order = (a, b) => value(a).localeCompare(value(b), "en", { numeric: true });
  const number = (a, b) => value(a) - value(b);
  const rows = [...body.rows];
  const numeric = rows.every((row) => row.cells[column].dataset.value !== undefined);
  rows.sort(numeric ? number : order);
  body.append(...(ascending ? rows : rows.reverse()));
});

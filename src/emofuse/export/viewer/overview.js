// The list of a batch: click on a heading to sort, type to find, choose a label or a state to filter.

const listing = document.getElementById("files");
const body = listing.tBodies[0];
const find = document.getElementById("find");
const label = document.getElementById("label");
const flag = document.getElementById("flag");
const shown = document.getElementById("shown");

function filter() {
  const wanted = find.value.trim().toLowerCase();
  let count = 0;
  for (const row of body.rows) {
    const fits = row.textContent.toLowerCase().includes(wanted)
      && (!label.value || row.dataset.label === label.value)
      && (!flag.value || row.dataset.flags.split(" ").includes(flag.value));
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = count === body.rows.length ? "" : `${count} of ${body.rows.length}`;
}

function sort(column, heading) {
  const numeric = heading.classList.contains("num");
  const falling = heading.getAttribute("aria-sort") === "ascending";
  const key = (row) => row.cells[column].dataset.key;
  const compare = numeric
    ? (a, b) => Number(key(a)) - Number(key(b))
    : (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
  for (const other of listing.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  body.append(...[...body.rows].sort((a, b) => (falling ? -compare(a, b) : compare(a, b))));
}

[...listing.tHead.rows[0].cells].forEach((heading, column) => {
  heading.querySelector("button").addEventListener("click", () => sort(column, heading));
});
find.addEventListener("input", filter);
label.addEventListener("change", filter);
flag.addEventListener("change", filter);

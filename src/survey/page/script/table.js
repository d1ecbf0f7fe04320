// Tables that sort by a click on a heading, and show their first rows until asked for all.

/**
 * A table of `rows`.
 *
 * `sort` is the number of the column that they are sorted by at first.
 *
 * A column has a `title`, `cell(row)` (a node or text), and may have `by(row)` (what it sorts by; without it, it
 * does not sort), `number` (right-aligned, sorts from the highest), `head` (names the row) and `style` (a class).
 */
class Table {
  constructor({ caption, columns, rows, sort, descending, first = 10, things = "row" }) {
    Object.assign(this, { columns, rows, sort: columns[sort], descending, first, things, all: false });
    this.headings = columns.map((column) => this.heading(column));
    this.body = make("tbody");
    this.more = make("button", { type: "button", class: "more" });
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.show();
    });
    const table = make(
      "table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, this.headings)), this.body,
    );
    this.node = make("div", {}, make("div", { class: "scroll" }, table), this.more);
    this.show();
  }

  heading(column) {
    const cell = make("th", { scope: "col", class: styles(column) });
    if (!column.by) {
      cell.append(column.title);
      return cell;
    }
    const button = make("button", { type: "button", class: "sort" }, column.title);
    button.addEventListener("click", () => {
      this.descending = this.sort === column ? !this.descending : Boolean(column.number);
      this.sort = column;
      this.show();
    });
    cell.append(button);
    return cell;
  }

  show() {
    mark(this.headings, this.columns, this.sort, this.descending);
    const rows = sorted(this.rows, this.sort.by, this.descending);
    const shown = this.all ? rows : rows.slice(0, this.first);
    this.body.replaceChildren(...shown.map((row) => make("tr", {}, cells(this.columns, row))));
    this.more.hidden = rows.length <= this.first;
    this.more.textContent = this.all ? "Show fewer" : `Show all ${count(rows.length, this.things)}`;
  }
}

function styles(column) {
  return [column.number && "number", column.style].filter(Boolean).join(" ") || null;
}

function cells(columns, row) {
  return columns.map((column) =>
    make(column.head ? "th" : "td", { scope: column.head && "row", class: styles(column) }, column.cell(row)),
  );
}

/** Tells on the headings by which of them the rows are sorted. */
function mark(headings, columns, sort, descending) {
  headings.forEach((heading, at) => {
    if (columns[at] === sort) {
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    } else {
      heading.removeAttribute("aria-sort");
    }
  });
}

const order = new Intl.Collator("en", { numeric: true });

/** A sorted copy: texts as people sort them, what is null last whichever the direction. */
function sorted(rows, by, descending) {
  const keyed = rows.map((row) => [by(row), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const compared = typeof a === "number" ? a - b : order.compare(a, b);
    return descending ? -compared : compared;
  });
  return keyed.map(([, row]) => row);
}

// Every file as a row: sorted by any column, found by a part of its name, opened by its name.

const ROWS_AT_ONCE = 50;
const byName = new Intl.Collator(undefined, { numeric: true }).compare;

class FileTable {
  constructor(store) {
    this.store = store;
    this.columns = fileColumns();
    this.sorting = { column: 0, isDescending: false };
    this.limit = ROWS_AT_ONCE;
    this.query = "";
    this.heads = this.columns.map((column, place) => this.head(column, place));
    this.body = element("tbody");
    byId("file-table").replaceChildren(element("thead", {}, element("tr", {}, this.heads)), this.body);
    byId("filter").addEventListener("input", (event) => this.find(event.target.value));
    byId("more").addEventListener("click", () => this.showMore());
    store.watch(["metric", "system", "baseline"], () => this.draw());
    store.watch(["file"], () => this.markOpen());
  }

  head(column, place) {
    const sort = button({ class: "sort", onclick: () => this.sortBy(place) }, column.label(this.store.state));
    return element("th", { scope: "col", class: column.isText ? null : "figure" }, sort);
  }

  sortBy(place) {
    const isSame = this.sorting.column === place;
    this.sorting = { column: place, isDescending: isSame && !this.sorting.isDescending };
    this.draw();
  }

  find(text) {
    this.query = text.trim().toLowerCase();
    this.limit = ROWS_AT_ONCE;
    this.draw();
  }

  showMore() {
    this.limit += 4 * ROWS_AT_ONCE;
    this.draw();
  }

  draw() {
    const found = report.files.filter((file) => file.name.toLowerCase().includes(this.query));
    found.sort(this.comparison());
    this.heads.forEach((head, place) => this.drawHead(head, place));
    this.body.replaceChildren(...found.slice(0, this.limit).map((file) => this.row(file)));
    const left = found.length - this.limit;
    byId("more").hidden = left <= 0;
    byId("more").textContent = `Show ${Math.min(left, 4 * ROWS_AT_ONCE)} more`;
    byId("shown").textContent = `${Math.min(found.length, this.limit)} of ${plural(report.files.length, "file")} shown`;
    this.markOpen();
  }

  drawHead(head, place) {
    const { column, isDescending } = this.sorting;
    const order = isDescending ? "descending" : "ascending";
    head.setAttribute("aria-sort", place === column ? order : "none");
    head.firstChild.replaceChildren(this.columns[place].label(this.store.state));
  }

  // What has no value comes last, whichever way the rest is sorted.
  comparison() {
    const { column, isDescending } = this.sorting;
    const { value, isText } = this.columns[column];
    const sign = isDescending ? -1 : 1;
    return (a, b) => {
      const [left, right] = [value(a, this.store.state), value(b, this.store.state)];
      if (isText) return sign * byName(left, right);
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (left - right);
    };
  }

  row(file) {
    const cells = this.columns.map((column) => column.cell(file, this.store));
    const row = element("tr", { onclick: () => this.open(file) }, cells);
    row.file = file;
    return row;
  }

  // The name is a button of its own, for the keyboard; the rest of the row serves the pointer.
  open(file) {
    if (window.getSelection().isCollapsed) openFile(this.store, file, this.store.state.system);
  }

  markOpen() {
    for (const row of this.body.rows) {
      if (row.file === this.store.state.file) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }
}

function fileColumns() {
  const columns = [nameColumn()];
  if (report.files.some((file) => durationOf(file) !== null)) columns.push(secondsColumn());
  if (!report.metrics.length) return columns;
  report.systems.forEach((_, system) => columns.push(systemColumn(system)));
  if (report.systems.length > 1) columns.push(differenceColumn());
  return columns;
}

function nameColumn() {
  return {
    isText: true,
    label: () => "File",
    value: (file) => file.name,
    cell: (file) => element("th", { scope: "row" }, button({ class: "link name" }, file.name, heardMark(file))),
  };
}

function secondsColumn() {
  return {
    label: () => "Seconds",
    value: durationOf,
    cell: (file) => figureCell(durationOf(file) === null ? NOT_APPLICABLE : fixed(durationOf(file), 1)),
  };
}

function systemColumn(system) {
  return {
    label: () => systemLabel(system, report.systems[system].name),
    value: (file, { metric }) => valueOf(file, system, metric),
    cell: (file, { state: { metric } }) => valueCell(file, system, metric),
  };
}

function valueCell(file, system, metric) {
  const value = valueOf(file, system, metric);
  const reason = value === null ? reasonOf(file, system, metric) : null;
  return element("td", { class: value === null ? "figure quiet" : "figure", title: reason }, formatValue(metric, value));
}

function differenceColumn() {
  return {
    label: ({ system, baseline }) => `${report.systems[system].name} ${MINUS} ${report.systems[baseline].name}`,
    value: (file, { metric, system, baseline }) => differenceOf(file, system, baseline, metric),
    cell: (file, { state: { metric, system, baseline } }) => gainCell(metric, differenceOf(file, system, baseline, metric)),
  };
}

function gainCell(metric, difference) {
  const judged = difference ? (gain(metric, difference) > 0 ? "better" : "worse") : "";
  return element("td", { class: `figure ${judged}` }, formatDifference(metric, difference));
}

function figureCell(text) {
  return element("td", { class: "figure" }, text);
}

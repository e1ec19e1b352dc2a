// The worst and the best files of the chosen system by the chosen metric.

const EXTREMES = 5;

function showExtremes(store) {
  store.watch(["metric", "system", "baseline"], (state) => {
    const ranked = rankedFiles(state);
    const count = Math.min(EXTREMES, Math.ceil(ranked.length / 2));
    drawExtremes(store, byId("worst"), ranked.slice(0, count));
    drawExtremes(store, byId("best"), ranked.reverse().slice(0, count));
  });
}

function rankedFiles({ metric, system }) {
  const scored = report.files.filter((file) => valueOf(file, system, metric) !== null);
  return scored.sort((a, b) => gain(metric, valueOf(a, system, metric) - valueOf(b, system, metric)));
}

function drawExtremes(store, list, files) {
  const { metric, system, baseline } = store.state;
  list.replaceChildren(...files.map((file) => {
    const difference = system === baseline ? null : differenceOf(file, system, baseline, metric);
    const change = difference === null ? "" : formatDifference(metric, difference);
    return element("li", {},
      button({ class: "link name", onclick: () => openFile(store, file, system) }, file.name, heardMark(file)),
      element("span", { class: "figure" }, formatValue(metric, valueOf(file, system, metric))),
      element("span", { class: "figure quiet" }, change));
  }));
  if (!files.length) list.replaceChildren(element("li", { class: "quiet" }, "No file has a value."));
}

// Tells that the page carries the sound of a file.
function heardMark(file) {
  return file.clip === null ? null : element("span", { class: "heard", title: "with sound", role: "img", "aria-label": "with sound" }, "\u266a");
}

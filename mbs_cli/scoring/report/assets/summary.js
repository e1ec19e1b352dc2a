// The table of means: a row per metric, a column per system, then the differences.

function showSummary(store) {
  if (!report.metrics.length) {
    byId("summary").hidden = true;
    return;
  }
  store.watch(["baseline"], ({ baseline }) => drawSummary(store, baseline));
  store.watch(["metric"], ({ metric }) => {
    document.querySelectorAll("#summary-table button").forEach((choice, place) => {
      choice.setAttribute("aria-pressed", place === metric);
    });
  });
  byId("show-spread").addEventListener("change", (event) => {
    byId("summary-table").classList.toggle("with-spread", event.target.checked);
  });
}

function drawSummary(store, baseline) {
  const others = report.systems.map((_, place) => place).filter((place) => place !== baseline);
  const rows = report.metrics.map((_, metric) => summaryRow(store, metric, baseline, others));
  byId("summary-table").replaceChildren(
    element("thead", {}, summaryHead(baseline, others)),
    element("tbody", {}, rows),
  );
}

function summaryHead(baseline, others) {
  const base = report.systems[baseline].name;
  return element("tr", {},
    element("th", { scope: "col" }, "Metric"),
    report.systems.map((system, place) => element("th", { scope: "col" },
      systemLabel(place, system.name),
      element("span", { class: "note" }, `${system.scored} of ${system.files} scored`))),
    others.map((place) => element("th", { scope: "col", class: "difference" },
      systemLabel(place, report.systems[place].name),
      element("span", { class: "note" }, `minus ${base}`))));
}

function summaryRow(store, metric, baseline, others) {
  const pressed = store.state.metric === metric;
  const choose = button({ class: "link", "aria-pressed": pressed, onclick: () => store.set({ metric }) }, metricName(metric));
  const direction = report.metrics[metric].isHigherBetter ? "higher is better" : "lower is better";
  const best = bestSystem(metric);
  return element("tr", {},
    element("th", { scope: "row" }, choose, element("span", { class: "note" }, direction)),
    report.systems.map((system, place) => meanCell(metric, system.summaries[metric], place === best)),
    others.map((place) => differenceCell(metric, pairedDifference(place, baseline, metric))));
}

function bestSystem(metric) {
  const means = report.systems.map((system) => system.summaries[metric].mean);
  const gains = means.map((mean) => (mean === null ? -Infinity : gain(metric, mean)));
  const top = Math.max(...gains);
  return gains.filter((value) => value === top).length === 1 ? gains.indexOf(top) : null;
}

function meanCell(metric, summary, isBest) {
  const show = (value) => formatValue(metric, value);
  const spread = summary.std === null ? "" : `median ${show(summary.median)}, sd ${show(summary.std)}`;
  return element("td", { class: isBest ? "best" : null },
    element("span", { class: "mean" }, show(summary.mean)),
    element("span", { class: "note" }, formatInterval(summary.low, summary.high, show)),
    element("span", { class: "note spread" }, spread),
    missingNote(summary.n));
}

function missingNote(count) {
  const isWhole = report.systems.every((system) => system.files === count);
  return isWhole ? null : element("span", { class: "note" }, `of ${plural(count, "file")}`);
}

function differenceCell(metric, found) {
  if (found === null || found.mean === null) return element("td", { class: "difference" }, NOT_APPLICABLE);
  const show = (value) => formatDifference(metric, value);
  const judged = verdict(metric, found);
  return element("td", { class: `difference ${judged}` },
    element("span", { class: "mean" }, show(found.mean), element("span", { class: "verdict" }, judged)),
    element("span", { class: "note" }, formatInterval(found.low, found.high, show)));
}

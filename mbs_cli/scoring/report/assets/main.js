// Puts the page together.

const NAMES_AT_ONCE = 10;

function select(identifier, names, store, key) {
  const chooser = byId(identifier);
  chooser.append(...names.map((name, value) => element("option", { value }, name)));
  chooser.addEventListener("change", () => store.set({ [key]: Number(chooser.value) }));
  store.watch([key], (state) => { chooser.value = state[key]; });
  chooser.parentElement.hidden = names.length < 2;
}

function openFile(store, file, system) {
  store.set({ file });
  listening.chooseSystem(system);
  byId("listening").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  byId("open-file").focus({ preventScroll: true });
}

function calm() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function showHeader() {
  document.title = report.title;
  byId("title").textContent = report.title;
  const counts = [plural(report.files.length, "file"), plural(report.systems.length, "system"), plural(report.metrics.length, "metric")];
  const date = report.provenance.find(([label]) => label === "Date")?.[1] ?? "";
  byId("subtitle").textContent = [...counts, date.slice(0, 10)].filter((text) => text).join(" \u00b7 ");
  const warnings = [];
  if (!report.isComplete) warnings.push("Scoring was interrupted: this page shows what was scored until then.");
  if (report.unmatched.length) warnings.push(`Without a counterpart and left out: ${firstNames(report.unmatched)}.`);
  byId("warning").textContent = warnings.join(" ");
  byId("warning").hidden = !warnings.length;
}

function firstNames(names) {
  const more = names.length - NAMES_AT_ONCE;
  return names.slice(0, NAMES_AT_ONCE).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function showMetric(store) {
  byId("metric").hidden = !report.metrics.length;
  if (!report.metrics.length) return;
  store.watch(["metric"], ({ metric }) => {
    const direction = report.metrics[metric].isHigherBetter ? "higher is better" : "lower is better";
    byId("metric-heading").replaceChildren(metricName(metric), element("span", { class: "note" }, direction));
  });
  select("choose-metric", report.metrics.map((_, metric) => metricName(metric)), store, "metric");
  select("choose-system", report.systems.map(({ name }) => name), store, "system");
  select("choose-baseline", report.systems.map(({ name }) => name), store, "baseline");
  showDistribution(store);
  showScatter(store);
  showExtremes(store);
}

function showHeard() {
  const heard = report.files.filter((file) => file.clip !== null).length;
  const choice = report.metrics.length ? "the worst, the best and the typical ones by every metric" : "evenly spread over all";
  byId("heard").textContent = heard === report.files.length
    ? `The page carries the sound of every file, at most ${report.longestSeconds} s of each.`
    : `To stay small, the page carries the sound of ${heard} of ${plural(report.files.length, "file")}, ${choice}, at most ${report.longestSeconds} s of each. They are marked \u266a.`;
}

function showProvenance() {
  byId("provenance-list").append(...report.provenance.flatMap(([label, text]) => [
    element("dt", {}, label), element("dd", {}, text),
  ]));
}

function firstBaseline(main) {
  const noisy = report.systems.findIndex((system) => system.isNoisy);
  return noisy >= 0 ? noisy : report.systems.findIndex((_, place) => place !== main || report.systems.length === 1);
}

const main = report.mainSystem;
const firstFile = report.files.find((file) => file.clip === 0) ?? report.files[0] ?? null;
const store = new Store({ metric: 0, system: main, baseline: firstBaseline(main), file: firstFile });
showHeader();
showSummary(store);
showMetric(store);
const listening = new Listening(store);
listening.chooseSystem(main);
const fileTable = new FileTable(store);
showHeard();
showProvenance();

// The data of the page. Systems and metrics are places in their lists; null is "not applicable".

const report = JSON.parse(byId("report").textContent);

const COLOURS = 6;

function systemClass(place) {
  if (place === null) return "reference";
  if (report.systems[place].isNoisy) return "noisy";
  const processed = report.systems.filter((system) => !system.isNoisy);
  return `colour-${processed.indexOf(report.systems[place]) % COLOURS}`;
}

function valueOf(file, system, metric) {
  const result = file.results[system];
  return result === null ? null : result.values[metric];
}

function reasonOf(file, system, metric) {
  const result = file.results[system];
  if (result === null) return "this system has no such file";
  return result.reasons?.[metric] ?? "no value";
}

function differenceOf(file, system, baseline, metric) {
  const [value, other] = [valueOf(file, system, metric), valueOf(file, baseline, metric)];
  return value === null || other === null ? null : value - other;
}

// The paired difference of two systems over all files, whichever way round it was computed.
function pairedDifference(system, baseline, metric) {
  for (const found of report.differences) {
    if (found.metric !== metric) continue;
    if (found.system === system && found.baseline === baseline) return found;
    if (found.system === baseline && found.baseline === system) return turned(found);
  }
  return null;
}

function turned(found) {
  const minus = (value) => (value === null ? null : -value);
  return { ...found, mean: minus(found.mean), low: minus(found.high), high: minus(found.low) };
}

// Positive where the change is for the better.
function gain(metric, difference) {
  return report.metrics[metric].isHigherBetter ? difference : -difference;
}

function verdict(metric, found) {
  if (found === null || !found.isClear) return "unclear";
  return gain(metric, found.mean) > 0 ? "better" : "worse";
}

function durationOf(file) {
  return file.results.find((result) => result?.seconds !== undefined)?.seconds ?? null;
}

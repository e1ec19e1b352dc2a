// A lane per system: every file a dot, the middle half of them a box, the mean and its
// interval a diamond on a line below.

const SHORTEST_LANE_PIXELS = 78;
const TALLEST_LANE_PIXELS = 150;
const LABEL_PIXELS = 20;
const AXIS_PIXELS = 30;
const MEAN_PIXELS = 20;
const SIDE_PIXELS = 14;
const BIN_PIXELS = 7;

function showDistribution(store) {
  const host = byId("distribution");
  const draw = () => drawDistribution(host, store);
  store.watch(["metric"], draw);
  redrawOnResize(host, draw);
}

function drawDistribution(host, store) {
  const metric = store.state.metric;
  const lanes = report.systems.map((_, system) => laneValues(system, metric));
  const values = lanes.flat().map(({ value }) => value);
  if (!values.length) return emptyPlot(host);
  const laneHeight = heightOfLanes(lanes.length);
  const [width, height] = [host.clientWidth, lanes.length * laneHeight + AXIS_PIXELS];
  const across = scale(rangeOf(values), SIDE_PIXELS, width - SIDE_PIXELS);
  const drawn = canvas(host, width, height, `${metricName(metric)} of every file by system`);
  drawn.append(...valueAxis(rangeOf(values), across, width, height));
  const points = lanes.flatMap((lane, system) => drawLane(drawn, lane, { system, metric, across, laneHeight }));
  makeClickable(host, drawn, points,
    ({ file, value, system }) => `${file.name}: ${formatValue(metric, value)} (${report.systems[system].name})`,
    ({ file, system }) => openFile(store, file, system));
}

// As tall as the scatter plot beside it, within reason.
function heightOfLanes(count) {
  const even = (TALLEST_PIXELS - AXIS_PIXELS) / count;
  return Math.min(TALLEST_LANE_PIXELS, Math.max(SHORTEST_LANE_PIXELS, even));
}

function laneValues(system, metric) {
  const lane = report.files.map((file) => ({ file, system, value: valueOf(file, system, metric) }));
  return lane.filter(({ value }) => value !== null).sort((a, b) => a.value - b.value);
}

function valueAxis(range, across, width, height) {
  return ticksBetween(...range, width / 80).flatMap(({ value, text }) => [
    drawing("line", { class: "grid", x1: across(value), x2: across(value), y1: 0, y2: height - AXIS_PIXELS + 6 }),
    drawing("text", { class: "tick", x: across(value), y: height - 8, "text-anchor": "middle" }, text),
  ]);
}

function drawLane(drawn, lane, { system, metric, across, laneHeight }) {
  const top = system * laneHeight;
  const room = laneHeight - LABEL_PIXELS - MEAN_PIXELS - 8;
  const middle = top + LABEL_PIXELS + room / 2;
  const colour = systemClass(system);
  drawn.append(drawing("text", { class: `lane ${colour}`, x: SIDE_PIXELS, y: top + 15 }, report.systems[system].name));
  if (!lane.length) return [];
  const points = swarm(lane, across, middle, room);
  drawn.append(quartileBox(lane, across, middle, room, colour), pointsPath(points, colour));
  drawn.append(...meanMark(report.systems[system].summaries[metric], across, middle + room / 2 + MEAN_PIXELS / 2, colour));
  return points;
}

// Dots of similar value are stacked around the middle, closer together where there are many.
function swarm(lane, across, middle, room) {
  const bins = new Map();
  for (const entry of lane) {
    const bin = Math.round(across(entry.value) / BIN_PIXELS);
    if (!bins.has(bin)) bins.set(bin, []);
    bins.get(bin).push(entry);
  }
  const fullest = Math.max(...[...bins.values()].map((bin) => bin.length));
  const gap = Math.min(BIN_PIXELS, room / fullest);
  return [...bins.values()].flatMap((bin) => bin.map((entry, place) => (
    { ...entry, x: across(entry.value), y: middle + (place - (bin.length - 1) / 2) * gap }
  )));
}

function quartileBox(lane, across, middle, room, colour) {
  const quantile = (share) => lane[Math.round(share * (lane.length - 1))].value;
  const [left, right] = [across(quantile(0.25)), across(quantile(0.75))];
  return drawing("rect", { class: `box ${colour}`, x: left, y: middle - room / 2, width: Math.max(1, right - left), height: room, rx: 4 });
}

function meanMark({ mean, low, high }, across, height, colour) {
  if (mean === null) return [];
  const diamond = drawing("path", { class: `mean ${colour}`, d: `M${across(mean)} ${height - 7}l6 7l-6 7l-6 -7z` });
  if (low === null) return [diamond];
  return [drawing("line", { class: `interval ${colour}`, x1: across(low), x2: across(high), y1: height, y2: height }), diamond];
}

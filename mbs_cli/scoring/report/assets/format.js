// Numbers and units as text.

const NOT_APPLICABLE = "n/a";
const MINUS = "\u2212";
const EN_DASH = "\u2013";

function fixed(value, decimals) {
  const text = value.toFixed(decimals);
  return text.startsWith("-") ? (Number(text) === 0 ? text.slice(1) : MINUS + text.slice(1)) : text;
}

function formatValue(metric, value) {
  return value === null ? NOT_APPLICABLE : fixed(value, report.metrics[metric].decimals);
}

function formatDifference(metric, value) {
  if (value === null) return NOT_APPLICABLE;
  const text = formatValue(metric, value);
  return Number(value.toFixed(report.metrics[metric].decimals)) > 0 ? `+${text}` : text;
}

function formatInterval(low, high, format) {
  return low === null ? "" : `${format(low)} to ${format(high)}`;
}

function metricName(metric) {
  const { title, unit } = report.metrics[metric];
  return unit ? `${title} (${unit})` : title;
}

function formatClock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

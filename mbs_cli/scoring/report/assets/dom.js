"use strict";

// Nodes are made from tags, attributes and text, never from markup: a file name stays a text.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function byId(identifier) {
  return document.getElementById(identifier);
}

function button(attributes, ...children) {
  return element("button", { type: "button", ...attributes }, ...children);
}

// A coloured dot and the system's name: the colour never stands alone.
function systemLabel(place, name) {
  return element("span", { class: `system ${systemClass(place)}` }, name);
}

// A chart as a picture file: its layers on top of each other, on paper of their own.

import { css } from "./palette.js";

const COPIED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "paint-order",
  "stroke-linejoin", "font-family", "font-size", "font-weight", "text-anchor"];

/** A PNG of a plot: `layers` are its canvases {canvas, left, top} and its SVG elements, from the back to the front. */
export async function pictureOf(plot, layers, paper) {
  const [width, height] = [plot.clientWidth, plot.clientHeight];
  const pixels = Math.max(devicePixelRatio, 2);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * pixels, height * pixels];
  const context = canvas.getContext("2d");
  context.scale(pixels, pixels);
  context.fillStyle = css(paper);
  context.fillRect(0, 0, width, height);
  for (const layer of layers) {
    if (layer instanceof SVGElement) context.drawImage(await imageOf(layer, width, height), 0, 0, width, height);
    else context.drawImage(layer, layer.offsetLeft, layer.offsetTop, layer.clientWidth, layer.clientHeight);
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) reject(new Error("The browser made no picture."));
      else resolve(blob);
    }, "image/png");
  });
}

/** A picture of an SVG element stands alone, without the page's style sheet. */
async function imageOf(element, width, height) {
  const copy = element.cloneNode(true);
  const [from, to] = [element, copy].map((each) => [...each.querySelectorAll("*")]);
  from.forEach((each, place) => {
    const style = getComputedStyle(each);
    for (const name of COPIED) to[place].setAttribute(name, style.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

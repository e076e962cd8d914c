// The many points behind the few, kept as a picture that is larger than the plot: while a hand moves or zooms, the
// picture moves and grows, and is only made anew where it ends or gets too coarse.

import { createRaster } from "./raster.js";

const AROUND = 0.2; // of the plot on each side
const COARSEST = [0.75, 1.35]; // how far the picture may shrink or grow before it is made anew

/** `show(context, key, pixels, scales, isMoving, stamp)`: the points on a canvas' context, without a transformation.
 *  `key`: what the picture depends on besides the axes; `stamp(raster, places)` stamps them and returns colours. */
export function createBackdrop() {
  const picture = document.createElement("canvas");
  const inner = picture.getContext("2d");
  let [raster, made] = [null, null];

  function show(context, key, pixels, { x, y }, isMoving, stamp) {
    const { width, height } = context.canvas;
    let target = made === null || !same(made.key, key) ? null : targetOf(x, y, pixels);
    if (target === null || !covers(target, width, height, isMoving)) {
      make(key, pixels, x, y, width, height, stamp);
      target = targetOf(x, y, pixels);
    }
    context.drawImage(picture, target.left, target.top, target.width, target.height);
  }

  function make(key, pixels, x, y, width, height, stamp) {
    const [moreX, moreY] = [Math.round(width * AROUND), Math.round(height * AROUND)];
    const [wide, high] = [width + 2 * moreX, height + 2 * moreY];
    if (raster?.width !== wide || raster.height !== high) {
      raster = createRaster(wide, high);
      [picture.width, picture.height] = [wide, high];
    }
    raster.clear();
    const places = { across: x.factor * pixels, right: x.offset * pixels + moreX,
      up: y.factor * pixels, down: y.offset * pixels + moreY };
    raster.show(inner, stamp(raster, places));
    made = { key, places };
  }

  /** Where the picture belongs now: a value's place in it and on the plot are both straight lines of the value. */
  function targetOf(x, y, pixels) {
    const { across, right, up, down } = made.places;
    const [growX, growY] = [(x.factor * pixels) / across, (y.factor * pixels) / up];
    const left = x.offset * pixels - right * growX;
    const top = y.offset * pixels - down * growY;
    const isMoved = growX === 1 && growY === 1;
    return {
      growX, growY, left: isMoved ? Math.round(left) : left, top: isMoved ? Math.round(top) : top,
      width: picture.width * growX, height: picture.height * growY,
    };
  }

  return { show };
}

function covers({ growX, growY, left, top, width, height }, plotWidth, plotHeight, isMoving) {
  const reaches = left <= 0.5 && top <= 0.5 && left + width >= plotWidth - 0.5 && top + height >= plotHeight - 0.5;
  const [least, most] = isMoving ? COARSEST : [1 - 1e-9, 1 + 1e-9];
  return reaches && [growX, growY].every((grow) => grow >= least && grow <= most);
}

function same(before, now) {
  return before.length === now.length && before.every((each, place) => Object.is(each, now[place]));
}

// Boxes and labels over a picture.
import { colourOf, inkOn } from "./colour.js";
import { percent } from "./format.js";

/** Where a picture of this shape lies in a box that it fits into. */
export function fit(width, height, boxWidth, boxHeight) {
  const scale = Math.min(boxWidth / width, boxHeight / height);
  return { x: (boxWidth - width * scale) / 2, y: (boxHeight - height * scale) / 2, width: width * scale, height: height * scale };
}

/** A box in fractions of the picture, in the picture's place on the canvas. */
export function placed(box, place, mirror = false) {
  const [x, y, w, h] = box;
  return [place.x + (mirror ? 1 - x - w : x) * place.width, place.y + y * place.height, w * place.width, h * place.height];
}

/** Draw {box, name, label, confidence, uncertain, chosen, age} for each face. */
export function drawFaces(pen, faces, place, mirror = false) {
  const size = Math.max(12, Math.min(16, place.width / 34));
  for (const face of faces) {
    const [x, y, w, h] = placed(face.box, place, mirror);
    const colour = face.label ? colourOf(face.label) : "#ffffff";
    pen.save();
    pen.globalAlpha = face.age === undefined ? 1 : Math.max(0, Math.min(1, 1.4 - face.age));
    pen.lineJoin = "round";
    if (face.uncertain) pen.setLineDash([6, 5]);
    for (const [stroke, width] of [["rgb(0 0 0 / .55)", face.chosen ? 5 : 4], [colour, face.chosen ? 3 : 2]]) {
      pen.strokeStyle = stroke;
      pen.lineWidth = width;
      pen.beginPath();
      pen.roundRect(x, y, w, h, Math.min(10, w / 6));
      pen.stroke();
    }
    pen.setLineDash([]);
    tag(pen, face, colour, x, y, h, size, place);
    pen.restore();
  }
}

function tag(pen, face, colour, x, y, h, size, place) {
  const says = face.uncertain ? "uncertain" : face.label ? `${face.label} ${percent(face.confidence)}` : "";
  const text = [face.name, says].filter(Boolean).join(" · ");
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const width = pen.measureText(text).width + 14, height = size + 9;
  const left = Math.max(place.x, Math.min(x - 1, place.x + place.width - width));
  const above = y - height - 4 >= place.y;
  const head = above ? y - height - 4 : Math.min(y + h + 4, place.y + place.height - height);
  pen.fillStyle = face.uncertain ? "#3a3d42" : colour;
  pen.beginPath();
  pen.roundRect(left, head, width, height, 6);
  pen.fill();
  pen.fillStyle = face.uncertain ? "#ffffff" : inkOn(colour);
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  pen.fillText(text, left + 7, head + height / 2 + 0.5);
}

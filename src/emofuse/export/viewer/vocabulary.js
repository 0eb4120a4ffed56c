// What the browser must say as Python does: colours (export/palette.py) and reasons (core/estimates.py). A test compares.
export const COLOURS = {
  neutral: "#b4b2a8",
  happy: "#f6b91c",
  sad: "#4b59b6",
  angry: "#df5a08",
  fear: "#b37ad5",
  disgust: "#12967a",
  surprise: "#33cffb",
  contempt: "#8a4526",
};
export const MOODS = {
  positive: "#7f9f3f",
  negative: "#e78fb0",
};
export const SPARE = ["#7f9f3f", "#e78fb0", "#5b7f95", "#c9a97c", "#3f6f4f", "#a0566f", "#8f8fd0", "#6b6b6b"];
export const REASONS = {
  "no-face": "No face is seen, and the rest does not say enough.",
  "face-too-small": "The face is too small to be read.",
  "face-blurred": "The face is too blurred to be read.",
  "no-speech": "Nobody speaks, and the rest does not say enough.",
  "too-short": "There is too little speech to go by.",
  "too-noisy": "The sound is too noisy.",
  "other-language": "The words are in a language that the model does not read.",
  contradiction: "The modalities contradict each other.",
  "few-faces-read": "Too few of the faces are large and clear enough to be read.",
  "low-confidence": "No expression is much more probable than the others.",
};

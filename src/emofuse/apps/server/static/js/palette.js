// sinks/palette.py for the browser; a test keeps the two the same.
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
export const SPARE = ["#7f9f3f", "#e78fb0", "#5b7f95", "#c9a97c", "#3f6f4f", "#a0566f", "#8f8fd0", "#6b6b6b"];

// Runs beside the page: makes JPEGs. On the page itself, browsers encode only when nothing else is to do.
let canvas = null;

onmessage = async ({ data: { bitmap } }) => {
  const { width, height } = bitmap;
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  const jpeg = await blob.arrayBuffer();
  postMessage({ jpeg }, [jpeg]);
};

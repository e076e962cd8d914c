// What can be typed instead of pressed, and what to do with a bundle.

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;
const FOLDER = "model";

/** A text as one word of a shell. */
export function shellWord(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`;
}

/** A text as Python writes it. */
export function pythonText(text) {
  return JSON.stringify(text)
    .replaceAll("\u007f", "\\x7f")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** The command that exports this architecture: `study` is a name, `formats` names of formats. */
export function exportCommand(study, digest, formats) {
  const chosen = formats.map((format) => ` --format ${shellWord(format)}`).join("");
  return `supernaut export ${shellWord(study)} ${digest} --to ${FOLDER}${chosen}`;
}

/** The same in Python. */
export function exportPython(study, digest, formats) {
  const chosen = formats.length === 0 ? "" : `formats=[${formats.map(pythonText).join(", ")}], `;
  return [
    "from runner import Client",
    "",
    `study = Client().study(${pythonText(study)})`,
    `folder = study.export(${pythonText(digest)}, ${chosen}to=${pythonText(FOLDER)})`,
  ].join("\n");
}

/** The name under which the server sends a bundle of this SHA-256. */
export function archiveName(sha256) {
  return `bundle-${sha256.slice(0, 12)}.zip`;
}

/** Commands that unpack a downloaded bundle and look whether it is whole. */
export function unpackCommands(sha256) {
  const name = archiveName(sha256);
  return [
    `echo "${sha256}  ${name}" | sha256sum --check`,
    `unzip ${name} -d ${FOLDER}`,
    `supernaut verify ${FOLDER}`,
    `python ${FOLDER}/predict.py sample`,
  ].join("\n");
}

/** A program that runs the model: it needs NumPy and ONNX Runtime alone. */
export function runPython() {
  return [
    "import numpy as np",
    "import onnxruntime",
    "",
    `model = onnxruntime.InferenceSession(${pythonText(`${FOLDER}/model.onnx`)})`,
    "inputs = model.get_inputs()[0]",
    `samples = np.load(${pythonText(`${FOLDER}/sample_inputs.npy`)})  # prepared as config.json says`,
    "outputs = model.run(None, {inputs.name: samples[:1]})[0]",
    "print(outputs.shape, outputs)",
  ].join("\n");
}

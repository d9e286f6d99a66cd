// What a real JavaScript engine makes of a module: node host.js WASM_EXEC MODULE < LIST
const fs = require("fs");
const { argv, exit } = process;
const [runtime, module_] = argv.slice(2);
const list = fs.readFileSync(0, "utf8");
const wasm = fs.readFileSync(module_);
const tell = (what) => { fs.writeSync(1, JSON.stringify(what)); exit(0); };
const log = [];
// What is not told to be there is not there.
globalThis.process = globalThis.fetch = undefined;
console.log = console.warn = (...all) => log.push(all.join(" "));
require(runtime);
const go = new Go();
go.argv = ["function"];
go.exit = (code) => code && tell({ exit: code, log });
WebAssembly.instantiate(wasm, go.importObject).then(async ({ instance }) => {
  go.run(instance);
  while (!globalThis.processResourceList) await new Promise((done) => setTimeout(done, 5));
  tell({ answer: globalThis.processResourceList(list), log });
}).catch((error) => tell({ thrown: String(error), log }));

// The demo as a child process: a real Home Assistant with a camera and a lock, but no door yet.
"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");

const root = path.resolve(__dirname, "../..");
const SIGNS = { "Home Assistant": "url", "user name": "user", password: "password" };

class Demo {
  /** Start it; `ready` resolves to url, user and password once it serves. */
  constructor() {
    const python = path.join(root, ".venv/bin/python");
    this.process = spawn(python, ["-m", "demo", "--serve", "--no-door"], {
      cwd: root,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.log = [];
    this.answers = [];
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
    this.ready = new Promise((resolve, reject) => {
      const found = {};
      this.ended.then((code) => reject(new Error(`the demo ended with ${code}`)));
      readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
        const [, label, value] = /^([^:]+):\s+(.*)$/.exec(line) ?? [];
        if (label === "log") this.log.push(value);
        if (label === "done") this.answers.shift()?.resolve();
        if (label === "error") this.answers.shift()?.reject(new Error(value));
        if (SIGNS[label]) found[SIGNS[label]] = value;
        if (Object.keys(found).length === 3) resolve(found);
      });
    });
    this.ready.catch(() => {}); // whoever awaits it is told
  }

  /** Say who stands before the camera: a line as demo/control.py has it. */
  tell(line) {
    return new Promise((resolve, reject) => {
      this.answers.push({ resolve, reject });
      this.ended.then(() => reject(new Error("the demo has ended")));
      this.process.stdin.write(`${line}\n`);
    });
  }

  /** End it; returns the warnings and errors of Home Assistant's log. */
  async end() {
    this.process.stdin.end();
    const late = setTimeout(() => this.process.kill("SIGTERM"), 40_000);
    await this.ended;
    clearTimeout(late);
    return this.log;
  }
}

module.exports = { Demo, root };

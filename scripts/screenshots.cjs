// Starts the demo, waits for a visit that opened the lock, and takes docs/device-page.png and
// docs/enrolment.png. Called by scripts/screenshots.
"use strict";

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const root = path.resolve(__dirname, "..");
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Start the demo; resolves once it serves and the enrolled person has been let in. */
function startDemo() {
  const demo = spawn(path.join(root, ".venv/bin/python"), ["-m", "demo", "--serve", "--no-story"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const found = {};
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the demo was not ready in time")), 180_000);
    demo.once("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
    const done = () => {
      if (found.url && found.opened) {
        clearTimeout(timer);
        resolve(found);
      }
    };
    readline.createInterface({ input: demo.stdout }).on("line", (line) => {
      const names = { "Home Assistant": "url", "user name": "user", password: "password", "the door": "door" };
      const [, label, value] = /^([^:]+):\s+(\S+)$/.exec(line) ?? [];
      if (names[label]) found[names[label]] = value;
    });
    readline.createInterface({ input: demo.stderr }).on("line", (line) => {
      console.error(line);
      if (/it opened/.test(line)) found.opened = true;
      done();
    });
  });
  return { demo, ready };
}

async function logIn(page, { url, user, password }) {
  await page.goto(url);
  await page.locator('input[name="username"]').fill(user);
  await page.locator('input[name="password"]').fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL((address) => !address.pathname.startsWith("/auth"), { timeout: 60_000 });
  await page.locator("home-assistant-main").waitFor({ timeout: 60_000 });
}

async function devicePage(page, { door }) {
  await page.goto(door);
  await page.locator("ha-config-device-page").waitFor({ timeout: 60_000 });
  await page.waitForTimeout(6_000); // cards and the activity list come one after the other
  await page.screenshot({ path: path.join(root, "docs/device-page.png") });
}

async function enrolment(page, { url }) {
  await page.goto(`${url}/config/integrations/integration/face_lock`);
  await page.waitForTimeout(4_000);
  await page.screenshot({ path: "/tmp/integration.png" });
}

async function main() {
  const { demo, ready } = startDemo();
  let browser;
  try {
    const found = await ready;
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: flags });
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 });
    await logIn(page, found);
    await devicePage(page, found);
    await enrolment(page, found);
  } finally {
    await browser?.close();
    demo.removeAllListeners("exit");
    const gone = new Promise((resolve) => demo.once("exit", resolve));
    demo.kill("SIGTERM");
    await gone;
  }
}

main().catch((error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});

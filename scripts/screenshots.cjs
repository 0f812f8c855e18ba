// Starts the demo and takes docs/device-page.png, just after a visit opened the lock, and
// docs/enrolment.png, with a first picture of one more person. Called by scripts/screenshots.
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

/** Start the demo; `ready` resolves to address, user and password once it serves. */
function startDemo() {
  const demo = spawn(path.join(root, ".venv/bin/python"), ["-m", "demo", "--serve", "--no-story"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const names = { "Home Assistant": "url", "user name": "user", password: "password", "the door": "door" };
  const found = {};
  const ready = new Promise((resolve, reject) => {
    demo.once("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
    readline.createInterface({ input: demo.stdout }).on("line", (line) => {
      const [, label, value] = /^([^:]+):\s+(\S+)$/.exec(line) ?? [];
      if (names[label]) found[names[label]] = value;
      if (Object.keys(found).length === 4) resolve(found);
    });
  });
  return { demo, ready };
}

async function logIn(page, { url, user, password }) {
  await page.goto(url);
  await page.locator('input[name="username"]').fill(user);
  await page.locator('input[name="password"]').fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/home\/overview/);
}

async function devicePage(page, { door }) {
  await page.goto(door);
  await page.getByText("Access granted").first().waitFor();
  await page.waitForTimeout(2_500); // the activity list follows
  await page.screenshot({ path: path.join(root, "docs/device-page.png") });
}

async function enrolment(page, { url }) {
  const dialog = page.locator("dialog-data-entry-flow");
  await page.goto(`${url}/config/integrations/integration/face_lock`);
  await page.getByText("Add person").first().click();
  await dialog.getByText("Add a person").first().waitFor();
  await dialog.locator("input").first().fill("Grace Hopper");
  await page.keyboard.press("Enter");
  await page.getByText("Upload pictures").first().click();
  await dialog.locator("input[type=file]").first().setInputFiles(path.join(root, "tests/pictures/hopper.jpg"));
  await dialog.getByText("hopper.jpg").first().waitFor();
  await page.getByRole("button", { name: "Submit" }).click();
  await page.getByText("Pictures kept: 1").first().waitFor();
  await page.mouse.move(0, 0);
  await page.waitForTimeout(1_500); // until the dialogue has its size
  await page.screenshot({ path: path.join(root, "docs/enrolment.png") });
}

async function main() {
  const { demo, ready } = startDemo();
  let browser;
  try {
    const found = await ready;
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: flags });
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, deviceScaleFactor: 1 });
    page.setDefaultTimeout(90_000);
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

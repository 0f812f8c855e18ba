// Home Assistant's frontend as a user sees it: what is clicked, typed and read.
"use strict";

const path = require("node:path");
const { chromium } = require("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SIZE = { width: 1280, height: 900 };
const PATIENCE = 30_000; // milliseconds for anything to appear
// Brands' icons come from the internet. Leaving a page rejects what it still asked for.
const HARMLESS = [/\/api\/brands\/integration\/(?!face_lock)/, /^disconnected$/];

class Frontend {
  static async open(url, executablePath) {
    const browser = await chromium.launch({ executablePath, args: FLAGS });
    const page = await browser.newPage({ viewport: SIZE, deviceScaleFactor: 1 });
    page.setDefaultTimeout(PATIENCE);
    const frontend = new Frontend(browser, page, url);
    await page.exposeFunction("faceLockClicked", () => frontend.clicks++);
    await page.addInitScript(() => {
      addEventListener("click", (event) => event.isTrusted && window.faceLockClicked(), true);
    });
    return frontend;
  }

  constructor(browser, page, url) {
    this.browser = browser;
    this.page = page;
    this.url = url;
    this.dialog = page.locator("dialog-data-entry-flow");
    this.errors = [];
    /** How often the user has clicked. */
    this.clicks = 0;
    const note = (text) => HARMLESS.some((known) => known.test(text)) || this.errors.push(text);
    page.on("pageerror", (error) => note(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") note(`${message.text()} ${message.location().url}`);
    });
  }

  async logIn(user, password) {
    await this.page.goto(this.url);
    await this.page.locator('input[name="username"]').fill(user);
    await this.page.locator('input[name="password"]').fill(password);
    await this.page.keyboard.press("Enter");
    await this.page.waitForURL(/home\/overview/);
  }

  /** Take a picture once nothing moves any more. */
  async picture(file) {
    await this.page.mouse.move(1, 1);
    await this.page.waitForTimeout(1_000);
    await this.page.screenshot({ path: file });
  }

  async go(where) {
    await this.page.goto(this.url + where);
  }

  async see(text, where = this.page) {
    await where.getByText(text).filter({ visible: true }).first().waitFor();
  }

  /** See a text on a page that does not always show at once what it is told: opened up to thrice. */
  async read(where, text) {
    for (let tries = 3; ; tries--) {
      await this.go(where);
      const found = this.page.getByText(text).filter({ visible: true }).first();
      const shown = await found.waitFor({ timeout: 10_000 }).then(() => true, () => false);
      if (shown) return;
      if (tries === 1) throw new Error(`${where} does not say ${text}`);
    }
  }

  async press(name, where = this.page) {
    await where.getByRole("button", { name, exact: true }).filter({ visible: true }).first().click();
  }

  /** Close a dialogue that has come to its end: "Finish" where something was added, "Close" where it was changed. */
  async finish(button = "Finish") {
    await this.press(button, this.dialog);
    await this.dialog.locator("ha-dialog, ha-adaptive-dialog").first().waitFor({ state: "detached" });
    await this.page.waitForTimeout(1_000); // it goes back in the browser's history, late
  }

  /** The dialogue's field for a number with this label. */
  field(label) {
    return this.dialog.locator("ha-selector-number", { hasText: label }).locator("input");
  }

  /** Choose an entry of a dialogue's menu. */
  async choose(text) {
    await this.dialog.getByText(text, { exact: true }).last().click();
  }

  /** Choose an entity in the dialogue's field for entities of this number, from 0. */
  async pick(field, name) {
    const selector = this.dialog.locator("ha-selector-entity").nth(field);
    // A field that takes several has one picker for each that was chosen, and one more.
    await selector.locator("ha-entity-picker").last().click();
    await this.page.locator("ha-picker-combo-box").getByText(name, { exact: true }).click();
    await selector.locator("ha-entity-picker").getByText(name, { exact: true }).waitFor();
  }

  async upload(field, file) {
    await this.dialog.locator("ha-selector-file").nth(field).locator("input[type=file]").setInputFiles(file);
    await this.see(path.basename(file), this.dialog);
  }

  /** What each door's access event says last, for whoever reads a failure. */
  async visits() {
    return this.page.evaluate(() =>
      Object.values(document.querySelector("home-assistant").hass.states)
        .filter(({ entity_id }) => entity_id.startsWith("event."))
        .map((state) => JSON.stringify(state)),
    );
  }

  /** Wait until the frontend has this state of an entity. */
  async state(entity, wanted) {
    await this.page.waitForFunction(
      ([id, state]) => document.querySelector("home-assistant")?.hass?.states?.[id]?.state === state,
      [entity, wanted],
    );
  }

  async close() {
    await this.browser.close();
  }
}

module.exports = { Frontend };

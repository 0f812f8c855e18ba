// A new user's story, from an empty Home Assistant to three doors that know two people and forget one.
// Called by scripts/ui-test; `--pictures` keeps what the pages of docs/ show.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Demo, root } = require("./demo.cjs");
const { Frontend } = require("./frontend.cjs");

const DOOR = "lock.front_door"; // ours, named after the camera
const BOLT = "lock.front_door_bolt"; // the lock that it opens
const PEOPLE = "/config/integrations/integration/face_lock";
const RELOCK = 5; // seconds, what the story sets the option to
const GARAGE = "lock.garage"; // doors with locks of their own, at the same camera
const GATE = "lock.gate";
let began; // when the user began to add the first door, and after how many clicks
const started = Date.now();

const folder = process.argv.includes("--pictures")
  ? path.join(root, "docs")
  : fs.mkdtempSync(path.join(os.tmpdir(), "face-lock-ui-"));

function say(text) {
  console.error(`[${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
}

const portrait = (name) => path.join(root, "tests/pictures", `${name}.jpg`);

/** A door with the demo's only camera and a lock of its own. */
async function addDoor(ha, name) {
  await ha.go(PEOPLE);
  await ha.press("Add door");
  await ha.see("Add a door", ha.dialog);
  await ha.dialog.locator("ha-selector-text input").first().fill(name);
  await ha.pick(0, "Front door");
  await ha.press("Next");
  await ha.see("What the camera sees", ha.dialog);
  await ha.choose("Use this door");
  await ha.see(`Created configuration for ${name}`, ha.dialog);
  await ha.finish();
}

/** Begin to change a door or a person. */
async function change(ha, name) {
  await ha.go(PEOPLE);
  const row = ha.page.locator("ha-config-sub-entry-row").filter({ hasText: name });
  await row.getByRole("button", { name: /^Change (door|person)$/ }).first().click();
  await ha.see(`Change ${name}`, ha.dialog);
}

/** The steps in their order; each gets the frontend, the demo, and how to take a picture. */
const STORY = {
  async "adds the door"({ ha, demo, picture }) {
    await demo.tell("stand obama2");
    await ha.go("/config/integrations/dashboard");
    began = { clicks: ha.clicks, at: Date.now() };
    await ha.press("Add integration");
    const brands = ha.page.locator("dialog-add-integration");
    await brands.locator("input").first().fill("Face Lock");
    await brands.getByText("Face Lock", { exact: true }).first().click();
    await ha.see("Set up a door", ha.dialog);
    await ha.see("1 in 10,000", ha.dialog);
    await ha.pick(0, "Front door");
    await ha.pick(1, "Front door bolt");
    await picture("set-up");
    await ha.press("Next");
  },

  async "looks through the camera"({ ha, demo, picture }) {
    await ha.see("What the camera sees", ha.dialog);
    await ha.see("1280 x 720", ha.dialog);
    await ha.page.waitForFunction(async () => {
      const all = (node) => [node, ...[...(node.shadowRoot ?? node).children].flatMap(all)];
      const dialog = all(document.body).find((node) => node.localName === "dialog-data-entry-flow");
      const pictures = all(dialog).filter((node) => node.localName === "img");
      return pictures.length >= 2 && pictures.every((each) => each.naturalWidth > 0);
    });
    await picture("camera-check");
    await demo.tell("empty");
    await ha.choose("Use this door");
  },

  async "enrols somebody by upload"({ ha, picture }) {
    await ha.see("Add a person", ha.dialog);
    await ha.dialog.locator("input").first().fill("Barack Obama");
    await ha.press("Next");
    await ha.choose("Upload pictures");
    await ha.see("Upload pictures of Barack Obama", ha.dialog);
    await ha.upload(0, portrait("obama"));
    await ha.upload(1, portrait("obama3"));
    await ha.upload(2, portrait("hopper")); // by mistake
    await ha.press("Next");
    await ha.see("Pictures kept: 2", ha.dialog);
    await ha.see("does not match the other pictures", ha.dialog);
    await picture("enrolment");
    await ha.choose("Finish");
    await ha.see("Created configuration for Barack Obama", ha.dialog);
    await ha.finish();
  },

  async "sees the lock open"({ ha, demo, picture }) {
    await ha.go(PEOPLE);
    await ha.page.locator("ha-config-entry-device-row").filter({ hasText: "Front door" }).first().click();
    await ha.page.waitForURL(/devices\/device/);
    await ha.state(DOOR, "locked");
    await demo.tell("visit obama2");
    await ha.state(BOLT, "unlocked");
    const seconds = ((Date.now() - began.at) / 1000).toFixed(0);
    say(`from adding to the first unlock: ${ha.clicks - began.clicks} clicks, ${seconds} s`);
    await ha.see("Access granted");
    await ha.see("Barack Obama");
    await ha.see("Unlocked");
    await picture("device-page");
    await ha.press("Lock");
    await ha.state(BOLT, "locked");
  },

  async "reads the activity"({ ha, picture }) {
    await ha.read("/logbook", /Barack Obama was let in \(\d/);
    await picture("activity");
  },

  async "enrols somebody before the camera"({ ha, demo, picture }) {
    await demo.tell("empty");
    await ha.go(PEOPLE);
    await ha.press("Add person");
    await ha.dialog.locator("input").first().fill("Grace Hopper");
    await ha.press("Next");
    await ha.choose("Take pictures with a door's camera");
    await ha.see("No face is in view", ha.dialog);
    await demo.tell("stand hopper");
    await ha.see("Turn your head a little to your left", ha.dialog);
    await ha.see("1 of 4 pictures taken", ha.dialog);
    await picture("capture");
    await demo.tell("stand hopper left");
    await ha.see("Turn your head a little to your right", ha.dialog);
    await demo.tell("stand hopper right");
    await ha.see("raise your chin a little", ha.dialog);
    // The demo's visitors cannot: the dialogue goes on without.
    await ha.see("Pictures kept: 3", ha.dialog);
    await demo.tell("empty");
    await ha.choose("Finish");
    await ha.see("Created configuration for Grace Hopper", ha.dialog);
    await ha.finish();
  },

  async "changes an option"({ ha, picture }) {
    await change(ha, "Front door");
    await picture("options");
    await ha.choose("After unlocking");
    await ha.field("Lock again after").fill(String(RELOCK));
    await ha.press("Submit");
    await ha.finish("Close");
    await change(ha, "Front door");
    await ha.choose("After unlocking");
    const kept = await ha.field("Lock again after").inputValue();
    if (kept !== String(RELOCK)) throw new Error(`the option is ${kept}, not ${RELOCK}`);
  },

  async "sees the door lock itself again"({ ha, demo }) {
    await ha.go("/logbook");
    await ha.state(DOOR, "locked");
    await demo.tell("visit hopper");
    await ha.state(BOLT, "unlocked");
    await ha.read("/logbook", /Grace Hopper was let in \(\d/);
    await ha.state(BOLT, "locked");
  },

  async "adds two doors, for which nobody is enrolled again"({ ha }) {
    await addDoor(ha, "Garage");
    await addDoor(ha, "Gate");
  },

  async "lets somebody in at two of the doors"({ ha }) {
    await change(ha, "Grace Hopper");
    await ha.choose("Name and permissions");
    for (const name of ["Front door", "Garage"]) {
      await ha.dialog.locator("ha-selector-select").getByText(name, { exact: true }).click();
    }
    await ha.press("Submit");
    await ha.finish("Close");
  },

  async "sees two doors open, and the third stay shut"({ ha, demo }) {
    await ha.go("/logbook");
    await ha.state(DOOR, "locked");
    await ha.state(GARAGE, "locked");
    await demo.tell("visit hopper");
    await ha.state(GARAGE, "unlocked");
    await ha.state(DOOR, "unlocked");
    await ha.read("/logbook", "Grace Hopper was refused: Not permitted at this door");
    await ha.state(GATE, "locked");
    await ha.state(DOOR, "locked");
    await ha.state(GARAGE, "locked");
  },

  async "removes somebody"({ ha }) {
    await ha.go(PEOPLE);
    const row = ha.page.locator("ha-config-sub-entry-row").filter({ hasText: "Barack Obama" });
    await row.locator("ha-dropdown").first().click();
    await ha.page.getByText("Delete", { exact: true }).filter({ visible: true }).first().click();
    await ha.see("Delete Barack Obama?");
    await ha.press("Delete", ha.page.locator("dialog-box"));
    await row.waitFor({ state: "detached" });
    await ha.see("Grace Hopper");
  },

  async "sees the door stay shut for the removed"({ ha, demo }) {
    await ha.go("/logbook");
    await ha.state(DOOR, "locked");
    await demo.tell("visit obama2");
    await ha.read("/logbook", "An unknown face was refused");
    await ha.state(BOLT, "locked");
  },
};

/** What the browser and Home Assistant complained about that is ours. */
function complaints(ha, log) {
  const ours = log.filter((line) => /face_lock|invalid authentication/.test(line));
  return [...(ha?.errors ?? []), ...ours.filter((line) => !line.includes("We found a custom integration"))];
}

async function main() {
  const demo = new Demo();
  let ha;
  let log = [];
  try {
    const { url, user, password } = await demo.ready;
    ha = await Frontend.open(url, process.env.CHROMIUM);
    await ha.logIn(user, password);
    const picture = (name) => ha.picture(path.join(folder, `${name}.png`));
    for (const [title, step] of Object.entries(STORY)) {
      say(title);
      await step({ ha, demo, picture });
    }
  } catch (error) {
    const failure = path.join(os.tmpdir(), "face-lock-ui-failure.png");
    await ha?.picture(failure).then(() => console.error(`the page at that moment: ${failure}`), () => {});
    for (const visit of (await ha?.visits().catch(() => [])) ?? []) console.error(`last visit: ${visit}`);
    throw error;
  } finally {
    await ha?.close();
    log = await demo.end();
    for (const line of complaints(ha, log)) console.error(`complaint: ${line}`);
    if (folder.startsWith(os.tmpdir())) fs.rmSync(folder, { recursive: true });
  }
  const found = complaints(ha, log);
  if (found.length) throw new Error("the browser or Home Assistant complained");
  say("everything was seen");
}

main().catch((error) => {
  console.error(`error: ${error.stack}`);
  process.exitCode = 1;
});

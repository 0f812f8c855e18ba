"""One step of one network's pipeline; the config's `role` says which network."""

import argparse
import logging
import sys
from importlib import import_module
from pathlib import Path

from yaml import YAMLError

from training.common import settings
from training.common.steps import Role, Step

ROLES = ("verifier", "detector", "presence", "liveness", "upright")


def role_named(name: str) -> Role:
    """Return a role's table of steps; ValueError for a role that there is not."""
    if name not in ROLES:
        raise ValueError(f"unknown role {name!r}; known: {', '.join(ROLES)}")
    role: Role = import_module(f"training.{name}.steps").ROLE
    return role


def general_parser() -> argparse.ArgumentParser:
    """Return the parser for a command line without a config: its help lists every role's steps."""
    lines = []
    for role in map(role_named, ROLES):
        lines.append(f"\nrole: {role.name} - {role.about}")
        lines += [f"  {step.name:16}{step.help}" for step in role.steps]
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        epilog="\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", help="one of those below")
    _add_common(parser)
    return parser


def parser_of(role: Role) -> argparse.ArgumentParser:
    """Return the parser of a role's own steps and their options."""
    parser = argparse.ArgumentParser(prog="python -m training", description=role.about)
    steps = parser.add_subparsers(dest="step", required=True)
    for step in role.steps:
        _add_step(steps.add_parser(step.name, help=step.help, description=step.help), step)
    return parser


def _add_step(parser: argparse.ArgumentParser, step: Step) -> None:
    _add_common(parser)
    for option in step.options:
        added = parser.add_argument(
            option.flag,
            help=option.help,
            type=option.type,
            default=option.default,
            choices=option.choices,
        )
        if option.flag.startswith("-"):
            # A word without a flag is required in any case, and argparse refuses to be told so.
            added.required = option.required


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="YAML file of the run")
    parser.add_argument("--data", help="folder of the packs and folders that the config names")
    parser.add_argument("--teachers", help="folder of the public checkpoints that it names")
    parser.add_argument("--again", action="store_true", help="do anew what is done already")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one setting; may be repeated",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code. A wrong command line or config ends with a message."""
    arguments = sys.argv[1:] if arguments is None else arguments
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path)
    path = early.parse_known_args(arguments)[0].config
    if path is None:
        general_parser().parse_args(arguments)
    try:
        role = role_named(settings.read(path).get("role", "verifier"))
    except (OSError, ValueError, YAMLError) as error:
        general_parser().error(f"{path}: {error}")
    parser = parser_of(role)
    options = parser.parse_args(arguments)
    overrides = list(options.set)
    if options.data:
        overrides.append(f"data={options.data}")
    if options.teachers:
        overrides.append(f"teachers={options.teachers}")
    if options.again:
        overrides.append("again=true")
    try:
        config = settings.load(role.settings, options.config, overrides)
    except ValueError as error:
        parser.error(f"{options.config}: {error}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    step = next(step for step in role.steps if step.name == options.step)
    step.run(config, options)
    return 0

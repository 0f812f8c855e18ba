"""Get an inference runtime, then the models.

The manifest names no requirement, because no single one can be had everywhere: onnxruntime has no
wheel for musl (Home Assistant OS and Container), ncnn has. What is installed already is used; where
both are, the faster one.
"""

from __future__ import annotations

import importlib
import logging
import sysconfig
from collections.abc import Callable
from functools import partial
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.requirements import (
    RequirementsNotFound,
    async_clear_install_history,
    async_process_requirements,
)

from ..const import (
    DOMAIN,
    ISSUE_MODELS_DAMAGED,
    ISSUE_MODELS_UNKNOWN,
    ISSUE_OWN_MODELS,
    ISSUE_RUNTIME_MISSING,
)
from ..issues import async_report_only
from ..settings import BUNDLED
from ..vision import (
    Bundle,
    BundleError,
    BundleFormatError,
    RuntimeUnavailableError,
    load_fastest_bundle as load_bundle,
)
from .own_models import models_folder

_LOGGER = logging.getLogger(__name__)

REQUIREMENTS: Final = ("ncnn==1.0.20261020", "onnxruntime==1.31.1")
"""Tried in this order where nothing that works is installed."""

BUNDLE_ISSUES: Final = (ISSUE_RUNTIME_MISSING, ISSUE_MODELS_DAMAGED, ISSUE_MODELS_UNKNOWN)


async def async_load_bundle(hass: HomeAssistant) -> Bundle:
    """Load the bundled models with a runtime that works here, installing one if need be.

    Raises:
        ConfigEntryNotReady: no runtime can be had now.
        ConfigEntryError: the models are not those that were measured, or not of this version.

    """
    try:
        bundle = await _async_with_runtime(hass, load_bundle)
    except RuntimeUnavailableError as error:
        async_report_only(hass, BUNDLE_ISSUES, ISSUE_RUNTIME_MISSING, requirement=REQUIREMENTS[0])
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN, translation_key=ISSUE_RUNTIME_MISSING
        ) from error
    except (BundleError, OSError, RuntimeError) as error:
        unknown = isinstance(error, BundleFormatError)
        issue = ISSUE_MODELS_UNKNOWN if unknown else ISSUE_MODELS_DAMAGED
        async_report_only(hass, BUNDLE_ISSUES, issue)
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key=issue,
            translation_placeholders={"error": str(error)},
        ) from error
    async_report_only(hass, BUNDLE_ISSUES, None)
    return bundle


async def async_load_models(hass: HomeAssistant, entry: ConfigEntry, name: str) -> Bundle:
    """Load the models that the household is set to; never others in their place.

    Raises:
        ConfigEntryNotReady: no runtime that runs them can be had now.
        ConfigEntryError: they are not those that were measured, or not of this version.

    """
    suffix = f"_{entry.entry_id}"
    if name == BUNDLED:
        async_report_only(hass, (ISSUE_OWN_MODELS,), None, suffix)
        return await async_load_bundle(hass)
    try:
        path = models_folder(hass, name)
        bundle = await _async_with_runtime(hass, partial(load_bundle, path))
    except (BundleError, OSError, RuntimeError, ValueError) as error:
        shown = {"bundle": name, "error": str(error)}
        async_report_only(hass, (ISSUE_OWN_MODELS,), ISSUE_OWN_MODELS, suffix, **shown)
        # A runtime may be had later; models do not mend by themselves.
        passes = isinstance(error, RuntimeUnavailableError)
        raise (ConfigEntryNotReady if passes else ConfigEntryError)(
            translation_domain=DOMAIN,
            translation_key=ISSUE_OWN_MODELS,
            translation_placeholders=shown,
        ) from error
    async_report_only(hass, (ISSUE_OWN_MODELS,), None, suffix)
    return bundle


def requirements() -> tuple[str, ...]:
    """Return what may be installed here, in the order to try it."""
    return REQUIREMENTS[:1] if on_musl() else REQUIREMENTS


def on_musl() -> bool:
    """Say whether this interpreter was built on musl: asking for onnxruntime would be in vain."""
    return any("musl" in str(sysconfig.get_config_var(v)) for v in ("SOABI", "HOST_GNU_TYPE"))


async def _async_with_runtime(hass: HomeAssistant, load: Callable[[], Bundle]) -> Bundle:
    """Load models with what is installed, or else with what can be.

    Raises:
        RuntimeUnavailableError: no runtime works, or none that can run these models.
        BundleError, OSError, RuntimeError: as ``load``.

    """
    try:
        return await hass.async_add_executor_job(load)
    except RuntimeUnavailableError as error:
        failure = error
    for requirement in requirements():
        _LOGGER.debug("No inference runtime yet: %s", failure)
        # Core remembers a failed installation until the next restart; without a network at
        # start-up, the door would then stay without its eyes.
        async_clear_install_history(hass)
        if await async_install(hass, requirement):
            try:
                return await hass.async_add_executor_job(load)
            except RuntimeUnavailableError as error:
                failure = error
    raise failure


async def async_install(hass: HomeAssistant, requirement: str) -> bool:
    """Install what only some machines need; return whether it is installed now."""
    try:
        await async_process_requirements(hass, DOMAIN, [requirement], is_built_in=False)
    except RequirementsNotFound as error:
        _LOGGER.debug("Cannot install %s: %s", requirement, error)
        return False
    await hass.async_add_executor_job(importlib.invalidate_caches)
    return True

"""Get an inference runtime, then the models.

The manifest names no requirement, because no single one can be had everywhere: onnxruntime has no
wheel for musl (Home Assistant OS and Container), ncnn has. What is installed already is used.
"""

from __future__ import annotations

import importlib
import logging
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import issue_registry as ir
from homeassistant.requirements import (
    RequirementsNotFound,
    async_clear_install_history,
    async_process_requirements,
)

from .const import DOMAIN, ISSUE_MODELS_DAMAGED, ISSUE_RUNTIME_MISSING
from .issues import async_report
from .vision import Bundle, BundleError, RuntimeUnavailableError, load_bundle

_LOGGER = logging.getLogger(__name__)

REQUIREMENTS: Final = ("ncnn==1.0.20261020", "onnxruntime==1.31.1")
"""Tried in this order where nothing that works is installed."""


async def async_load_bundle(hass: HomeAssistant) -> Bundle:
    """Load the bundled models with a runtime that works here, installing one if need be.

    Raises:
        ConfigEntryNotReady: no runtime can be had now.
        ConfigEntryError: the models are not those that were measured.

    """
    bundle = await _async_try(hass)
    for requirement in REQUIREMENTS:
        if bundle is not None:
            break
        if await _async_install(hass, requirement):
            bundle = await _async_try(hass)
    if bundle is None:
        async_report(hass, ISSUE_RUNTIME_MISSING, ISSUE_RUNTIME_MISSING)
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=ISSUE_RUNTIME_MISSING)
    ir.async_delete_issue(hass, DOMAIN, ISSUE_RUNTIME_MISSING)
    ir.async_delete_issue(hass, DOMAIN, ISSUE_MODELS_DAMAGED)
    return bundle


async def _async_try(hass: HomeAssistant) -> Bundle | None:
    """Load the models, or return None where no installed runtime works."""
    try:
        return await hass.async_add_executor_job(load_bundle)
    except RuntimeUnavailableError as error:
        _LOGGER.debug("No inference runtime yet: %s", error)
        return None
    except (BundleError, OSError, RuntimeError) as error:
        async_report(hass, ISSUE_MODELS_DAMAGED, ISSUE_MODELS_DAMAGED)
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key=ISSUE_MODELS_DAMAGED,
            translation_placeholders={"error": str(error)},
        ) from error


async def _async_install(hass: HomeAssistant, requirement: str) -> bool:
    # Core remembers a failed installation until the next restart; without a network at start-up,
    # the door would then stay without its eyes.
    async_clear_install_history(hass)
    try:
        await async_process_requirements(hass, DOMAIN, [requirement], is_built_in=False)
    except RequirementsNotFound as error:
        _LOGGER.debug("Cannot install %s: %s", requirement, error)
        return False
    await hass.async_add_executor_job(importlib.invalidate_caches)
    return True

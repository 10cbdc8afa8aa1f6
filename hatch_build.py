"""The build hook: a wheel and an sdist carry the page. web/build.py makes it.

RIGWISE_PAGE=auto (or nothing) builds it where that can be, and says why where it cannot; =require fails then;
=skip does not try. An editable install never builds it: a checkout has `make page`.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page before files are gathered."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from the package index, only where it will be needed."""
        make = self._make()
        root = Path(self.root)
        if _mode() == "skip" or make.is_current(root) or make.system_node():
            return []
        return [str(make.NODE_WHEEL)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. version: "editable" for an editable install."""
        if version == "editable" or _mode() == "skip":
            return
        make, root = self._make(), Path(self.root)
        build_data.setdefault("artifacts", []).append("src/rigwise/web/page/**")
        try:
            self.app.display_info(f"rigwise: {make.build(root)}")
        except make.Unbuilt as why:
            if _mode() == "require":
                raise SystemExit(f"RIGWISE_PAGE=require, and there is no page: {why}") from None
            make.without(str(why), root)
            message = f"rigwise is built WITHOUT its page ({why}); all else works, and `rigwise serve` says so"
            self.app.display_warning(message)
        except make.Broken as what:
            raise SystemExit(str(what)) from None

    def _make(self) -> ModuleType:
        spec = spec_from_file_location("rigwise_page_build", Path(self.root) / "web" / "build.py")
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


def _mode() -> str:
    return os.environ.get("RIGWISE_PAGE", "auto")

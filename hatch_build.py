"""Compiles the package's C as it is built, also for an editable install: hatchling calls this."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "device/ytm_device/sound/streaming/kernel.c"
FLAGS = [
    *("-std=gnu11", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra"),
    # Let sums be vectors; infinities and what is not a number keep their meaning.
    *("-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros"),
]


class CompileKernel(BuildHookInterface):
    """Makes `kernel.so` beside `kernel.c` and a wheel for this platform, any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, for a wheel of either kind."""
        source = Path(self.root) / SOURCE
        library = source.with_suffix(".so.1")
        temporary = library.with_suffix(f".{os.getpid()}.partial")
        compiler = shlex.split(os.environ.get("CC") or "cc")
        try:
            subprocess.run([*compiler, *FLAGS, "-o", temporary, source, "-lm"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(
                f"{source} cannot be compiled ({error}); install a C compiler, such as gcc, or"
                " name one in CC"
            ) from error
        else:
            temporary.replace(library)
        finally:
            temporary.unlink(missing_ok=True)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(
            ".", "_"
        )
        build_data["artifacts"].append(f"/{SOURCE.removesuffix('c')}so.1")

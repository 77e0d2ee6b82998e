"""The Dockerfile taken apart, and carried out in a folder instead of a container."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from processes import environment

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CONTEXT = (ROOT / ".dockerignore").read_text().splitlines()  # `*`, and after `!` what is sent all the same
Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """`(RUN, …)`, continued lines joined, comments left out."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    parted = [line.partition(" ") for line in joined.splitlines()]
    return [(name, rest.strip()) for name, _, rest in parted if name]


def stages() -> tuple[list[Instruction], list[Instruction]]:
    """The instructions of both stages, from `FROM` on."""
    first, second = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
    return instructions(first), instructions(second)


def the(name: str) -> str:
    """The argument of the last stage's only instruction of that name."""
    (value,) = [rest for instruction, rest in stages()[1] if instruction == name]
    return value


def variables(text: str) -> dict[str, str]:
    """`NAME=value` pairs without spaces in them."""
    return dict(re.findall(r"([A-Z_]+)=(\S+)", text))


class Emulated:
    """The first stage, carried out below `place`, and what the second one starts."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "bin").mkdir(parents=True)
        python = place / "python"  # a Python of its own, as a container has
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(python)], check=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "pip"], check=True
        )
        self.env = environment() | {"PATH": f"{python}/bin:{os.environ['PATH']}"}
        self.cwd = place

    def here(self, text: str) -> str:
        """A path of the container, or a script with such paths, in this machine's terms."""
        return text.replace("/opt/", f"{self.place}/opt/")

    def build(self) -> None:
        """Every instruction of the first stage."""
        for name, rest in stages()[0]:
            match name:
                case "WORKDIR":
                    self.cwd = self.place / rest.lstrip("/")
                    self.cwd.mkdir()
                case "COPY":
                    self._copy(*rest.split())
                case "ARG" | "ENV":
                    self.env |= variables(rest)
                case "RUN":
                    self.run(rest)

    def _copy(self, *names: str) -> None:
        for name in names[:-1]:
            assert f"!{name.rstrip('/')}" in CONTEXT, f"{name} is not in the context"
            source, target = ROOT / name, self.cwd / names[-1]
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)  # as COPY does
                shutil.copy(source, target)

    def run(self, script: str) -> None:
        """A step of the build; its output if it fails."""
        command = ["sh", "-c", self.here(script)]
        done = subprocess.run(
            command, cwd=self.cwd, env=self.env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"

    def start(self, *args: str, **given: str) -> subprocess.Popen[str]:
        """The entry point with these arguments, in the last stage's environment and nothing else."""
        env = {name: self.here(value) for name, value in variables(the("ENV")).items()} | given
        (entry,) = json.loads(the("ENTRYPOINT"))
        program = shutil.which(entry, path=env["PATH"])
        assert program
        out = subprocess.PIPE
        return subprocess.Popen(
            [program, *args], env=env, cwd="/", text=True, stdout=out, stderr=subprocess.STDOUT
        )

    def healthy(self, **given: str) -> bool:
        """Whether the health check would be content."""
        command = json.loads(the("HEALTHCHECK").partition("CMD ")[2])
        env = environment(**given) | {"PATH": self.here(variables(the("ENV"))["PATH"])}
        return not subprocess.run(command, env=env, capture_output=True, timeout=10, check=False).returncode

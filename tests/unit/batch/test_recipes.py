"""The recipes of ``docs/scaling.md``: they parse, and every flag and variable in them exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner as ClickRunner
from distributed.cli import dask_scheduler, dask_worker
from typer.main import get_command

from pipelines.batch.engine import CASE_PEAK_BYTES
from pipelines.cli import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "scaling.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
UNITS = {"Mi": 2**20, "MB": 10**6, "M": 2**20}


def blocks(language):
    return [text for kind, text in BLOCK.findall(PAGE.read_text()) if kind == language]


def flags_of(command):
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


def in_bytes(text):
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()
    return int(number) * UNITS[unit]


DASK = {"scheduler": flags_of(dask_scheduler.main), "worker": flags_of(dask_worker.main)}
BATCH = flags_of(get_command(app).commands["batch"])


def test_the_page_has_both_recipes():
    assert any("#SBATCH" in text for text in blocks("bash"))
    kinds = {one["kind"] for text in blocks("yaml") for one in yaml.safe_load_all(text)}
    assert kinds == {"Deployment", "Service", "Job"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to read the SLURM recipe with")
def test_the_shell_recipe_parses():
    for text in blocks("bash"):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert not done.stderr


def test_every_flag_of_the_shell_recipe_exists():
    known = {"dask scheduler": DASK["scheduler"], "dask worker": DASK["worker"], "sacroplan batch": BATCH}
    lines = "\n".join(blocks("bash")).splitlines()
    found = {name: [line.split(name)[1] for line in lines if name in line] for name in known}
    assert all(found.values())
    for name, tails in found.items():
        assert set(FLAG.findall(" ".join(tails))) <= known[name], name


def containers():
    for text in blocks("yaml"):
        for one in yaml.safe_load_all(text):
            spec = one["spec"]
            if "template" in spec:
                yield one, spec["template"]["spec"]


def test_every_command_of_the_cluster_exists():
    commands = set()
    for _, pod in containers():
        for container in pod["containers"]:
            first, second, *rest = container["command"]
            known = BATCH if (first, second) == ("sacroplan", "batch") else DASK[second]
            assert set(FLAG.findall(" ".join(rest))) <= known
            commands.add(f"{first} {second}")
    assert commands == {"dask scheduler", "dask worker", "sacroplan batch"}


def test_what_is_mounted_is_there_and_what_is_selected_is_labelled():
    for one, pod in containers():
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        assert {m["name"] for c in pod["containers"] for m in c.get("volumeMounts", [])} == volumes
        if "selector" in one["spec"]:
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_workers_find_the_scheduler():
    kinds = {one["kind"]: one for text in blocks("yaml") for one in yaml.safe_load_all(text)}
    address = f"tcp://{kinds['Service']['metadata']['name']}:{kinds['Service']['spec']['ports'][0]['port']}"
    assert sum(address in str(pod) for _, pod in containers()) == 2  # the worker's and the batch's
    labels = [one["spec"]["template"]["metadata"]["labels"] for one, pod in containers() if "dask, scheduler" in
              ", ".join(pod["containers"][0]["command"])]  # fmt: skip
    assert labels == [kinds["Service"]["spec"]["selector"]]


def test_a_worker_has_the_memory_of_a_case():
    limits = re.findall(r"--memory-limit[\", ]+(\w+)", PAGE.read_text())
    assert len(limits) == 2
    assert all(in_bytes(limit) > CASE_PEAK_BYTES for limit in limits)
    for _, pod in containers():
        resources = pod["containers"][0].get("resources", {})
        assert in_bytes(resources.get("limits", {"memory": "9999M"})["memory"]) > CASE_PEAK_BYTES


def test_the_flags_are_those_that_the_programs_print():
    assert "--scheduler-file" in ClickRunner().invoke(dask_worker.main, ["--help"]).output

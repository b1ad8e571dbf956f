"""The process that delivers: the one place that imports MLflow, started by the queue.

Here its telemetry and LiteLLM's download of prices are off: the queue starts it with the variables
that say so.
"""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genai import extras
from genai.tracking.queue import Record, Store, held, items_of, waiting

_KEY, _SHA = "genai.key", "sha-"
_PATIENCE = 10.0  # seconds that a server may take to answer at all
_LINGER = 5.0  # seconds that a delivery waits for more, for its start is dear
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}
_METRICS, _PARAMS = 1000, 100  # at once, as MLflow allows


def main(arguments: Sequence[str]) -> int:
    """Deliver until nothing waits; 1 where the store is away."""
    mode, folder, url = arguments
    store = Store(Path(folder), url)
    if mode == "linger":
        with suppress(AttributeError, OSError):
            os.nice(10)  # the work that is recorded comes first
    while items_of(store):  # asked again after the lock is free: a record may have come between
        with held(store, wait=mode == "now") as mine:
            if not mine:
                return 0
            try:
                _knock(url)
                _Delivery(store).run(0.0 if mode == "now" else _LINGER)
            except Exception as error:  # MLflow raises what its transport and its store raise
                _say(store, f"{store.url or 'the store'} cannot be reached ({_line(error)})")
                return 1
        if waiting(store).trouble:
            return 1
    return 0


def _knock(url: str) -> None:
    """Raise where no server answers at an address: sooner than MLflow is imported.

    One that takes the connection and says nothing would cost minutes in MLflow's own retries. It is
    asked by MLflow's transport, with the proxies and certificates that MLflow would use.
    """
    if not url:
        return
    requests, given = extras.load("requests", "tracking"), os.environ.get
    own = given("MLFLOW_TRACKING_SERVER_CERT_PATH")
    checked = given("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
    try:
        requests.get(
            f"{url.rstrip('/')}/health",
            timeout=_PATIENCE,
            verify=own or checked,
            cert=given("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
            allow_redirects=False,
            stream=True,
        ).close()  # whatever it says, something is there
    except requests.RequestException as error:
        first: BaseException = error
        while first.__context__ is not None:  # those above it tell of pools and retries
            first = first.__context__
        raise OSError(str(first)) from error


def _say(store: Store, trouble: str) -> None:
    path = store.folder / "trouble.txt"
    if trouble:
        path.write_text(trouble, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


class _Delivery:
    """Items of the queue, put into MLflow one by one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mlflow = extras.load("mlflow", "tracking")
        self._client = self._mlflow.MlflowClient(store.uri, store.uri)
        self._experiments: dict[str, str] = {}

    def run(self, linger: float) -> None:
        """Send everything, and wait a little for more. A store that is away is an error."""
        self._client.search_experiments(max_results=1)  # the store answers, or raises
        trouble, empty = "", time.monotonic()
        failed: set[str] = set()
        while True:
            items = [path for path in items_of(self._store) if path.name not in failed]
            for path in items:
                said = self._send(path)
                if said:
                    failed.add(path.name)
                    trouble = said
            if items:
                empty = time.monotonic()
            if time.monotonic() - empty >= linger:
                break
            time.sleep(0.2)
        _say(self._store, trouble)

    def _send(self, path: Path) -> str:
        """Send one item and take it from the queue; give why it must wait, or nothing."""
        item = json.loads((path / "item.json").read_text(encoding="utf-8"))
        try:
            {"run": self._run, "prompt": self._prompt, "adapter": self._adapter}[item["kind"]](
                item, path / "files"
            )
        except Exception as error:  # artefacts go by other transports than MLflow's own
            if getattr(error, "error_code", "") not in _REFUSED:
                self._client.search_experiments(max_results=1)  # away: leave the others alone
                return f"{item['name']}: {_line(error)}"
            refused = self._store.folder / "refused"
            refused.mkdir(exist_ok=True)
            (path / "why.txt").write_text(str(error), encoding="utf-8")
            path.replace(refused / path.name)
            return ""
        shutil.rmtree(path)
        return ""

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            place = None if self._store.url else (self._store.folder / "artifacts").as_uri()
            self._experiments[name] = (
                found.experiment_id
                if found is not None
                else self._client.create_experiment(name, artifact_location=place)
            )
        return self._experiments[name]

    def _find(self, key: str, experiments: Sequence[str]) -> Any:
        where = f"tags.`{_KEY}` = '{_plain(key)}'"
        found = self._client.search_runs(list(experiments), filter_string=where, max_results=1)
        return found[0] if found else None

    def _run(self, item: Mapping[str, Any], files: Path) -> str:
        entities, experiment = self._mlflow.entities, self._experiment(item["experiment"])
        run = self._find(item["key"], [experiment])
        if run is None:
            run = self._client.create_run(
                experiment, start_time=_ms(item["started"] or item["at"]), run_name=item["name"],
                tags={_KEY: _plain(item["key"])},
            )  # fmt: skip
        run_id, held = run.info.run_id, run.data.params
        tags = {**item["tags"], **({"not_copied": ", ".join(item["left"])} if item["left"] else {})}
        params = [
            entities.Param(_name(key), value[:6000])
            for key, value in item["params"].items()
            if _name(key) not in held
        ]
        metrics = [
            entities.Metric(_name(name), value, _ms(at), step)
            for name, value, step, at in item["metrics"]
        ]
        for start in range(0, len(params), _PARAMS):
            self._client.log_batch(run_id, params=params[start : start + _PARAMS])
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(run_id, metrics=metrics[start : start + _METRICS])
        for key, value in tags.items():
            self._client.set_tag(run_id, _name(key), value[:8000])
        if item["files"]:
            self._client.log_artifacts(run_id, str(files))
        for key in item["children"]:
            child = self._find(key, [experiment])
            if child is not None:
                self._client.set_tag(child.info.run_id, "mlflow.parentRunId", run_id)
        over = run.info.status == "FINISHED" == item["status"]  # what comes later is no part of it
        if item["status"] != "RUNNING" and not over:
            self._client.set_terminated(run_id, item["status"], _ms(item["at"]))
        return str(run_id)

    def _prompt(self, item: Mapping[str, Any], files: Path) -> None:
        name = _name(item["name"]).replace("/", ".").replace(" ", "-")
        version = self._known(self._client.get_prompt_version_by_alias, name, item["sha"])
        if version is None:
            turns = [{"role": role, "content": text} for role, text in item["turns"]]
            made = self._client.register_prompt(
                name, turns, commit_message=f"{item['name']}@{item['sha']}", tags=dict(item["tags"])
            )
            version = made.version
        for alias in (_SHA + item["sha"], *item["aliases"]):
            self._client.set_prompt_alias(name, alias, version)

    def _adapter(self, item: Mapping[str, Any], files: Path) -> None:
        name = _name(item["name"]).replace("/", ".")
        version = self._known(self._client.get_model_version_by_alias, name, item["sha"])
        if version is None:
            known = [each.experiment_id for each in self._client.search_experiments()]
            run = self._find(item["run"], known) if item["run"] else None
            run_id = run.info.run_id if run else self._run(_made_for(item), files / "none")
            self._client.log_artifacts(run_id, str(files), "model")
            with suppress(self._mlflow.exceptions.MlflowException):  # it is there already
                self._client.create_registered_model(name)
            source = f"{self._client.get_run(run_id).info.artifact_uri}/model"
            left = {"not_copied": ", ".join(item["left"])} if item["left"] else {}
            version = self._client.create_model_version(
                name, source, run_id, tags={**item["tags"], **left}, await_creation_for=0
            ).version
        for alias in (_SHA + item["sha"], *item["aliases"]):
            self._client.set_registered_model_alias(name, alias, version)

    def _known(self, find: Any, name: str, sha: str) -> Any:
        """Give the number of the version that has this hash; None where the registry has none."""
        try:
            found = find(name, _SHA + sha)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return None if found is None else found.version


def _made_for(item: Mapping[str, Any]) -> dict[str, Any]:
    """Give a run for an adapter whose training was not tracked."""
    record = Record(f"adapter/{item['name']}/{item['sha']}", "adapters", item["name"])
    return {**asdict(record), "tags": dict(item["tags"]), "left": [], "at": item["at"]}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _name(text: str) -> str:
    """Give a name as MLflow takes it."""
    return re.sub(r"[^\w./ -]", "_", text)[:250]


def _plain(text: str) -> str:
    return text.replace("'", "_")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

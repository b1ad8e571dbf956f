"""Take an LLM feature from idea to production with numbers one can trust.

Importing this face loads nothing else: each name is found in its room on first use.
"""

from typing import TYPE_CHECKING, Any

_ROOMS = {
    "Action": "genai.types",
    "Answer": "genai.types",
    "Call": "genai.types",
    "Case": "genai.evals",
    "BudgetExceeded": "genai.errors",
    "BusinessReport": "genai.reports.business",
    "Budgets": "genai.ledger",
    "Chain": "genai.rag",
    "Citation": "genai.types",
    "Cost": "genai.types",
    "CostStatus": "genai.types",
    "Curves": "genai.finetune.curves",
    "DayRow": "genai.ledger",
    "Decision": "genai.evals",
    "Fake": "genai.models",
    "GenaiError": "genai.errors",
    "Index": "genai.wiring.chain",
    "InputError": "genai.errors",
    "Labelling": "genai.evals.labels",
    "Ledger": "genai.ledger",
    "Message": "genai.types",
    "Model": "genai.models",
    "Monitor": "genai.reports.monitor",
    "Passage": "genai.types",
    "Refusal": "genai.types",
    "Reply": "genai.types",
    "Report": "genai.evals",
    "Summary": "genai.ledger",
    "Usage": "genai.types",
    "Verdict": "genai.types",
    "batch": "genai.wiring.parts",
    "bind": "genai.ledger",
    "business_case": "genai.wiring.business",
    "check_data": "genai.finetune.check",
    "diff_prompts": "genai.wiring.prompts",
    "evaluate": "genai.wiring.trials",
    "find_project": "genai.project",
    "from_langchain": "genai.wiring.langchain",
    "grid": "genai.wiring.trials",
    "judge": "genai.wiring.tuning",
    "known_prompts": "genai.wiring.prompts",
    "load": "genai.wiring.chain",
    "load_guards": "genai.wiring.guards",
    "load_recipe": "genai.finetune",
    "model": "genai.wiring.parts",
    "monitor": "genai.reports.monitor",
    "open_ledger": "genai.wiring.parts",
    "open_loop": "genai.wiring.loop",
    "promote": "genai.wiring.tuning",
    "prompt": "genai.wiring.prompts",
    "read_curves": "genai.finetune.curves",
    "runs_of": "genai.evals.baseline",
    "scope": "genai.ledger",
    "settings": "genai.wiring.parts",
    "to_langchain": "genai.wiring.langchain",
    "train": "genai.wiring.tuning",
    "upload": "genai.wiring.parts",
    "write_demo": "genai.finetune.demo",
}
__version__ = "0.1.0"
__all__ = sorted(_ROOMS)

if TYPE_CHECKING:
    from genai.errors import BudgetExceeded as BudgetExceeded
    from genai.errors import GenaiError as GenaiError
    from genai.errors import InputError as InputError
    from genai.evals import Case as Case
    from genai.evals import Decision as Decision
    from genai.evals import Report as Report
    from genai.evals.baseline import runs_of as runs_of
    from genai.evals.labels import Labelling as Labelling
    from genai.finetune import load_recipe as load_recipe
    from genai.finetune.check import check_data as check_data
    from genai.finetune.curves import Curves as Curves
    from genai.finetune.curves import read_curves as read_curves
    from genai.finetune.demo import write_demo as write_demo
    from genai.ledger import Budgets as Budgets
    from genai.ledger import DayRow as DayRow
    from genai.ledger import Ledger as Ledger
    from genai.ledger import Summary as Summary
    from genai.ledger import bind as bind
    from genai.ledger import scope as scope
    from genai.models import Fake as Fake
    from genai.models import Model as Model
    from genai.project import find_project as find_project
    from genai.rag import Chain as Chain
    from genai.reports.business import BusinessReport as BusinessReport
    from genai.reports.monitor import Monitor as Monitor
    from genai.reports.monitor import monitor as monitor
    from genai.types import Action as Action
    from genai.types import Answer as Answer
    from genai.types import Call as Call
    from genai.types import Citation as Citation
    from genai.types import Cost as Cost
    from genai.types import CostStatus as CostStatus
    from genai.types import Message as Message
    from genai.types import Passage as Passage
    from genai.types import Refusal as Refusal
    from genai.types import Reply as Reply
    from genai.types import Usage as Usage
    from genai.types import Verdict as Verdict
    from genai.wiring.business import business_case as business_case
    from genai.wiring.chain import Index as Index
    from genai.wiring.chain import load as load
    from genai.wiring.guards import load_guards as load_guards
    from genai.wiring.langchain import from_langchain as from_langchain
    from genai.wiring.langchain import to_langchain as to_langchain
    from genai.wiring.loop import open_loop as open_loop
    from genai.wiring.parts import batch as batch
    from genai.wiring.parts import model as model
    from genai.wiring.parts import open_ledger as open_ledger
    from genai.wiring.parts import settings as settings
    from genai.wiring.parts import upload as upload
    from genai.wiring.prompts import diff_prompts as diff_prompts
    from genai.wiring.prompts import known_prompts as known_prompts
    from genai.wiring.prompts import prompt as prompt
    from genai.wiring.trials import evaluate as evaluate
    from genai.wiring.trials import grid as grid
    from genai.wiring.tuning import judge as judge
    from genai.wiring.tuning import promote as promote
    from genai.wiring.tuning import train as train


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'genai' has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(_ROOMS[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

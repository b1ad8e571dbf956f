"""Training rows: read, rendered to tokens, split, and made from evals and feedback."""

from genai.finetune.data.render import Rendered as Rendered
from genai.finetune.data.render import load_tokenizer as load_tokenizer
from genai.finetune.data.render import prompt_of as prompt_of
from genai.finetune.data.render import render as render
from genai.finetune.data.render import render_all as render_all
from genai.finetune.data.rows import Fault as Fault
from genai.finetune.data.rows import LabelledRow as LabelledRow
from genai.finetune.data.rows import PreferenceRow as PreferenceRow
from genai.finetune.data.rows import Provenance as Provenance
from genai.finetune.data.rows import Row as Row
from genai.finetune.data.rows import SftRow as SftRow
from genai.finetune.data.rows import Turn as Turn
from genai.finetune.data.rows import read_rows as read_rows
from genai.finetune.data.rows import row_hash as row_hash
from genai.finetune.data.rows import rows_hash as rows_hash
from genai.finetune.data.rows import scan as scan
from genai.finetune.data.rows import write_rows as write_rows
from genai.finetune.data.split import split as split
from genai.finetune.data.split import split_file as split_file

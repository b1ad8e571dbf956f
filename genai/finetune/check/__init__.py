"""`check`: what is wrong with the data of a recipe, in seconds, before anything is trained."""

from genai.finetune.check.report import CheckReport as CheckReport
from genai.finetune.check.report import Finding as Finding
from genai.finetune.check.run import check_data as check_data

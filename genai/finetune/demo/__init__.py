"""The demo task: a support message to strict JSON, with null where nothing is stated.

A generator, a frozen test set and a tiny model to train from nothing, so that the whole way from
base to served adapter runs offline. The SFT answers are noisy on purpose, as those of hurried
people are: three in five rows that state no order have one invented. Preferences then teach null.

`quick` is done in a minute (parts in one order, the plan is asked for); `support` takes minutes
(parts in any order; the order number and the city are copied).
"""

from genai.finetune.demo.files import city as city
from genai.finetune.demo.files import recipe as recipe
from genai.finetune.demo.files import write_demo as write_demo
from genai.finetune.demo.generate import PRESETS as PRESETS
from genai.finetune.demo.generate import Generator as Generator

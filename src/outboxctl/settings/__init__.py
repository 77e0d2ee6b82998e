"""Every setting: its name in the environment, its default, its bounds, and where its value came from.

Precedence: flag, environment, `.env`, default. The names are the public contract's. A secret may come
from a file wherever a value could: NAME_FILE is its path.

Imports `net` and `domain`.
"""

from outboxctl.settings.connections import SinkProduct as SinkProduct
from outboxctl.settings.loading import Settings as Settings
from outboxctl.settings.loading import load as load
from outboxctl.settings.sources import Source as Source
from outboxctl.settings.sources import all_names as all_names
from outboxctl.settings.sources import env_names as env_names
from outboxctl.settings.sources import is_secret as is_secret
from outboxctl.settings.sources import variable_of as variable_of
from outboxctl.settings.worker import DELIVERY_SHARE as DELIVERY_SHARE
from outboxctl.settings.worker import NotifyPolicy as NotifyPolicy
from outboxctl.settings.worker import OutagePolicy as OutagePolicy

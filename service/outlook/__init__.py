"""Page of a tumour's twin."""

from palpate.service.outlook.page import write_outlook

__all__ = ["write_outlook"]

"""The browsing tool that the models were trained with, over any source of pages."""

from harmony_py.tools.browser.backend import Backend, Document, Hit
from harmony_py.tools.browser.fetching import Limits
from harmony_py.tools.browser.folder import FolderBackend
from harmony_py.tools.browser.tool import Browser
from harmony_py.tools.browser.web import WebBackend

__all__ = ["Backend", "Browser", "Document", "FolderBackend", "Hit", "Limits", "WebBackend"]

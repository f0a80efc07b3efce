"""Forecast report: the page of a tumour's twin."""

from palpate.service.forecast_report.page import write_forecast_report

__all__ = ["write_forecast_report"]

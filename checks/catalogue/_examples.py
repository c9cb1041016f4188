"""Valid samples by key, shown where what people wrote is not valid: that of the innermost key, else that of the whole."""

from __future__ import annotations

from collections.abc import Mapping

OF_A_SYSTEM: Mapping[str | int, str] = {
    "": 'system: shop\ntitle: Web shop\nsummary: Sells things.\nenvironments:\n  production: {base_url: "${SHOP_URL}"}\n'
    'metrics:\n  error-rate:\n    title: Error rate\n    unit: "%"\n'
    '    probe: {kind: http, url: "{base_url}/metrics", select: error_rate}\n    critical: "> 10 %"',
    "metrics": 'metrics:\n  disk:\n    title: Disk in use\n    unit: "%"\n'
    '    probe: {kind: host, measure: disk, path: /}\n    critical: "> 95 %"',
    "warning": 'warning: ">= 1 %"',
    "green": 'green: "< 0.5 %"\nyellow: "0.5-2 %"\nred: "> 2 %"',
    "yellow": 'green: "< 0.5 %"\nyellow: "0.5-2 %"\nred: "> 2 %"',
    "red": 'green: "< 0.5 %"\nyellow: "0.5-2 %"\nred: "> 2 %"',
    "baseline": "baseline: {statistic: median, window: 28d, needs: 7d}",
    "leave": 'leave: {critical: "< 8 %"}',
    "conditions": "conditions:\n  roll-back:\n    title: Roll back\n    any: [error-rate, {metric: disk, at: warning}]",
    "critical": 'critical: "> 10 %"',
    "probe": 'probe: {kind: http, url: "{base_url}/metrics", select: error_rate}',
    "select": "select: errors.rate",
    "severities": "severities:\n  P1: {title: Nothing answers, acknowledge: 15m, resolve: 4h}",
    "business-hours": 'business-hours: {from: "09:00", until: "17:00", timezone: Europe/Berlin}',
    "maintenance": 'maintenance:\n  - {title: Weekly restart, cron: "0 3 * * 0", for: 30m}',
    "environments": 'environments:\n  production: {base_url: "${SHOP_URL}"}',
    "fresh-for": "fresh-for: 26h",
    "timeout": "timeout: 10s",
    "window": "window: 24h",
}
OF_A_RUNBOOK: Mapping[str | int, str] = {
    "": "---\ntitle: Morning check\nsystem: shop\nkind: check\nsummary: What to look at before nine.\n---",
    "kind": "kind: check",
    "cron": 'schedule: {cron: "0 9 * * *", timezone: Europe/Berlin}',
    "schedule": 'schedule: {cron: "0 9 * * *", timezone: Europe/Berlin}',
    "timezone": "timezone: Europe/Berlin",
    "deadline": "deadline: 5m",
    "fresh-for": "fresh-for: 26h",
    "parameters": "parameters:\n  hours: {type: integer, default: 24, minimum: 1}",
}

"""The folders of a modem's daemon (短信猫), smstools or gammu-smsd: files in and out, and texts whatever their labels say."""

import { render } from 'preact';
import { AppProvider, createApp } from './stores/app.ts';
import { applyTheme } from './lib/theme.ts';
import { Shell } from './views/shell.tsx';

const app = createApp();
applyTheme(app.settings);
render(
  <AppProvider value={app}>
    <Shell />
  </AppProvider>,
  document.body,
);

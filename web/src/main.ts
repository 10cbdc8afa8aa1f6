import './style.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { keepToken, openReport, report } from './lib/api';
import { route } from './lib/route.svelte';

await openReport();
keepToken();
if (report && !location.hash) history.replaceState(null, '', Object.values(report.rooms)[0]);
route.listen();
mount(App, { target: document.getElementById('app')! });

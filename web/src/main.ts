import './style.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { keepToken, report } from './lib/api';
import { route } from './lib/route.svelte';

keepToken();
if (report && !location.hash) history.replaceState(null, '', report.address);
route.listen();
mount(App, { target: document.getElementById('app')! });

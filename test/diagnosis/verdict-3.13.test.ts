import { testVerdicts } from './verdict-programs.ts';

testVerdicts('3.13');
